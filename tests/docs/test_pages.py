"""What the pages say is so: their code runs, their commands are commands, their tables name what there is."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import lens
import lens.panels
import lens.views
from lens.app.cli import _parser
from lens.engine import InlineEngine
from tests.docs._pages import DOCS, PAGES, ROOT, blocks, name_of

TARGETS = set(re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
CODE = [page for page in PAGES if any(block.language in ("python", "pycon") for block in blocks(page))]
COMMANDS = [
    (f"{name_of(page)}:{block.line}", line)
    for page in PAGES
    for block in blocks(page)
    if block.language == "sh"
    for line in re.sub(r"\\\n\s*", "", block.code).splitlines()
    if line and not line.startswith("#")
]


def executed(page: Path) -> list[str]:
    """Run the blocks of a page in order, in one set of names; returns what a session printed otherwise than shown."""
    names: dict[str, Any] = {"__name__": page.stem}
    said: list[str] = []
    for block in blocks(page):
        where = f"{name_of(page)}:{block.line}"
        if block.language == "python":
            code = compile(block.code, where, "exec")
            if block.run:
                exec(code, names)  # noqa: S102 - it is ours
        elif block.language == "pycon":
            test = doctest.DocTestParser().get_doctest(block.code, names, where, str(page), block.line)
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(
                test, out=said.append, clear_globs=False
            )
            names |= test.globs
    return said


@pytest.mark.parametrize("page", CODE, ids=name_of)
def test_code_does_what_the_page_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LENS_MAPS", str(tmp_path / "store"))
    monkeypatch.setattr("lens.panels._work.LocalEngine", lambda **_: InlineEngine())  # nothing goes on behind the page
    assert not executed(page)


def test_a_wrong_example_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```pycon\n>>> x + 1\n3\n```\n", encoding="utf-8")
    monkeypatch.setattr("tests.docs._pages.DOCS", tmp_path)
    assert any("Got:\n    2" in said for said in executed(page))


@pytest.mark.parametrize(("where", "line"), COMMANDS)
def test_commands_are_commands(where: str, line: str) -> None:
    program, *rest = shlex.split(line, comments=True)
    if program == "lens":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "is_file", lambda _: True)  # a notebook that the reader has
            _parser().parse_args(rest)
    elif program == "make":
        assert {word for word in rest if "=" not in word} <= TARGETS
    else:
        assert program in {"pip", "python", "git", "docker", "nginx", "export", "cd", "hf"}


@pytest.mark.parametrize("module", [lens, lens.panels, lens.views], ids=lambda module: module.__name__)
def test_the_reference_names_everything_public(module: Any) -> None:
    reference = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    told = [_resolved(path) for path in re.findall(r"^::: lens\.([\w.]+)$", reference, flags=re.MULTILINE)]
    assert not [name for name in module.__all__ if not any(getattr(module, name) is thing for thing in told)]


def _resolved(path: str) -> Any:
    thing: Any = lens
    for name in path.split("."):
        thing = getattr(thing, name)
    return thing
