"""Every message of every error has its place on a page of `docs/errors`, and no page explains one that is gone."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from pathlib import Path

import pytest

from docs._hooks.messages import on_page, sites
from tests.docs._pages import DOCS

PAGES = {page: page.read_text(encoding="utf-8") for page in sorted((DOCS / "errors").glob("*.md"))}
EXPLAINED = [words for text in PAGES.values() for words in on_page(text)]
SECTIONS = [
    (f"{page.stem}: {section.partition(chr(10))[0]}", section)
    for page, text in PAGES.items()
    for section in text.split("\n## ")[1:]
    if on_page(section)
]


def test_every_message_is_explained() -> None:
    missing = {site.words: f"{site.file}:{site.line}" for site in sites() if site.words not in EXPLAINED}
    assert not {where: f"quote `{words}` on a page of docs/errors{_near(words)}" for words, where in missing.items()}


def test_no_page_explains_a_message_that_is_gone() -> None:
    raised = {site.words for site in sites()}
    assert not [words for words in EXPLAINED if words not in raised]


def test_no_message_is_explained_twice() -> None:
    assert not [words for words, count in Counter(EXPLAINED).items() if count > 1]


@pytest.mark.parametrize("section", [pytest.param(section, id=name) for name, section in SECTIONS])
def test_a_section_says_why_what_is_allowed_what_to_do_and_shows_it(section: str) -> None:
    assert re.findall(r"^\*\*(\w+)\.\*\* \S", section, flags=re.MULTILINE) == ["Why", "Allowed", "Next"]
    assert "```pycon" in section or "\nFor example, " in section


def test_a_message_is_found_however_it_is_put_together(tmp_path: Path) -> None:
    (tmp_path / "lens").mkdir()
    (tmp_path / "lens" / "some.py").write_text(
        "def plain(n): raise LensError(f'n is {n!r}: ' 'give 1.')\n"
        "def kept(n):\n    message = f'{n} is wrong'\n    raise ModelError(message)\n"
        "def carried(words): raise TextError(words)\n"
        "carried('said by a caller')\n"
        "def made(): return 'made elsewhere'\n"
        "raise MapsError(made())\n"
        "raise PlanError('one' if n else 'two', text)\n"
        "raise KeyError('not ours')\n",
        encoding="utf-8",
    )
    assert {site.words for site in sites(tmp_path / "lens")} == {
        "n is …: give 1.", "… is wrong", "said by a caller", "made elsewhere", "one", "two",
    }  # fmt: skip


def _near(words: str) -> str:
    near = difflib.get_close_matches(words, EXPLAINED, n=1)
    return f", perhaps in the place of `{near[0]}`" if near else ""
