"""A saved page without a browser: its numbers are those of `lens.read`, its texts are data, and it asks for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lens
from lens.engine import InlineEngine
from lens.errors import LensError
from lens.panels import Explore
from lens.panels._naming import file_name
from lens.panels._offline import _json, _text
from lens.panels._session import Session

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> <!-- & \" ' {{x}} ${y} \u2028"


class Page(HTMLParser):
    """The tags of a page with their attributes, and the text inside each tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave the tag."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the text of every tag that is open."""
        for tag in self._open:
            self.texts[tag][-1] += data


def saved(bench: Explore, folder: Path) -> str:
    return bench.save(folder / "page.html").read_text(encoding="utf-8")


def data(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.texts["script"][0])
    return found


@pytest.fixture(scope="module")
def bench() -> Iterator[Explore]:
    bench = Explore(Session(text=f"The old man {HOSTILE}", source=3, metric="kl"), InlineEngine())
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def page(bench: Explore, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(saved(bench, tmp_path_factory.mktemp("saved")))


def test_the_numbers_on_the_page_are_those_of_read(bench: Explore, page: Page) -> None:
    reading = lens.read(lens.load("demo"), bench.session.text, k=10)
    table = data(page)["table"]
    spec, cells = table["spec"], (2, len(reading.sources) + 1, len(reading.tokens))
    top, shares = (
        np.frombuffer(base64.b64decode(table[name]["base64"]), kind).reshape(*cells, 10)
        for name, kind in (("top", "<i4"), ("probabilities", "<f4"))
    )
    np.testing.assert_array_equal(np.array(spec["ids"])[top[:, :-1]], reading.token_ids)
    np.testing.assert_array_equal(np.array(spec["ids"])[top[0, -1]], reading.model_token_ids)
    np.testing.assert_array_equal(shares[:, :-1], reading.probabilities)
    np.testing.assert_array_equal(shares[1, -1], reading.model_probabilities)
    scores = np.frombuffer(base64.b64decode(table["scores"]["base64"]), "<f4").reshape(5, *cells)
    for place, name in enumerate(metric["key"] for metric in spec["metrics"]):
        if name in ("entropy", "kl", "surprisal"):
            np.testing.assert_array_equal(scores[place, :, :-1], getattr(reading, name))
    np.testing.assert_array_equal(scores[2, :, :-1], reading.rank + 1)
    assert (table["source"], table["position"], table["metric"]) == (3, len(reading.tokens) - 1, "kl")


def test_the_tables_in_words_say_what_read_says(bench: Explore, page: Page) -> None:
    reading = lens.read(lens.load("demo"), bench.session.text, k=10)
    cells = page.texts["td"]
    assert len(cells) == 2 * (len(reading.sources) + 1) * len(reading.tokens)
    expected = [
        f"{reading.labels[int(reading.token_ids[c, s, p, 0])]} {reading.probabilities[c, s, p, 0]:.1%}"
        for c in range(2)
        for s in reversed(reading.sources)
        for p in range(len(reading.tokens))
    ]
    own = len(reading.tokens)
    half = len(cells) // 2
    assert cells[own:half] + cells[half + own :] == expected


def test_the_page_holds_the_view_and_how_to_get_it_again(bench: Explore, page: Page) -> None:
    (title,), (said,), (code,) = page.texts["h1"], page.texts["dl"], page.texts["code"]
    assert title == bench.session.text
    assert code == bench.panel("jump").python()
    assert bench.link.removeprefix("?") in said
    for word in ("demo", lens.__version__, "torch", "fitted on", lens.load("demo").fingerprint):
        assert word in said


def test_a_text_is_data_wherever_it_stands(page: Page) -> None:
    attributes = {name for _, found in page.tags for name in found}
    assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "style")]
    assert [tag for tag, _ in page.tags if tag in ("img", "iframe", "link", "base", "form", "object", "svg")] == []
    assert [tag for tag, _ in page.tags].count("script") == 2


def test_only_its_own_script_and_style_may_run(page: Page) -> None:
    (policy,) = [found["content"] for _, found in page.tags if found.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in str(policy).split("; "))
    assert rules.pop("default-src") == "'none'"
    for rule, text in (("script-src", page.texts["script"][1]), ("style-src", page.texts["style"][0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules.pop(rule) == f"'sha256-{digest}'"
    assert rules == {"img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}


def test_nothing_on_the_page_is_an_address_of_another_host(bench: Explore, tmp_path: Path) -> None:
    bench.session.text = "The old man"
    html = saved(bench, tmp_path)
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"<]*", html)) <= {"http://www.w3.org/2000/svg"}


def test_forty_tokens_take_less_than_half_a_megabyte(bench: Explore, tmp_path: Path) -> None:
    bench.session.text = " ".join(["The old man sat by the fire and looked at the sea;"] * 4)
    assert 40 <= len(bench.desk.answer.tokens) < 60
    assert len(saved(bench, tmp_path)) < 500_000


@given(st.text(max_size=80) | st.sampled_from([HOSTILE, "]]>", "<!--", "</style>", "\0", "\ud800"]))
def test_any_text_reads_back_from_a_page(text: str) -> None:
    made = Page(f'<p>{_text(text)}</p><script type="application/json">{_json({text: text})}</script>')
    assert [tag for tag, _ in made.tags] == ["p", "script"]
    assert made.texts["p"] == [re.sub(r"[\x00-\x08\x0b-\x1f]", "\ufffd", text)]
    assert json.loads(made.texts["script"][0]) == {text: text}


def test_a_panel_that_has_pictures_of_its_own_brings_them(tmp_path: Path) -> None:
    bench = Explore(Session(panel="r2"), InlineEngine())
    (more,) = data(Page(saved(bench, tmp_path)))["more"]
    assert more["kind"] == "heatmap"
    assert base64.b64decode(more["state"]["values"]["base64"]) == bench.panel("r2").values
    bench.close()


def test_a_page_is_of_what_stands_not_of_what_stood(tmp_path: Path) -> None:
    bench = lens.explore("demo", "The old man")  # whose threads may not have answered yet
    assert Page(saved(bench, tmp_path)).texts["h1"] == ["The old man"]
    bench.session.text = "She opened the"
    assert Page(saved(bench, tmp_path)).texts["h1"] == ["She opened the"]
    bench.close()


def test_a_masked_model_says_what_is_missing(tmp_path: Path) -> None:
    bench = Explore(Session(model="demo-bert", text="The old man sat by the fire."), InlineEngine())
    with pytest.raises(LensError, match="click a word to mask it"):
        bench.save(tmp_path / "page.html")
    bench.desk.pick(2)
    assert data(Page(saved(bench, tmp_path)))["table"]["position"] == bench.desk.answer.position == 2
    bench.close()


def test_the_button_gives_the_page_or_says_why_not(bench: Explore, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(bench.sharing.button, "send", sent.append)
    bench.session.text = ""
    bench.sharing.button._handle_custom_msg({"kind": "save"}, [])
    assert (sent, "There is no text yet" in bench.sharing.button.problem) == ([], True)
    bench.session.text = "The old man"
    bench.sharing.button._handle_custom_msg({"kind": "save"}, [])
    (message,) = sent
    assert (message["kind"], message["name"], bench.sharing.button.problem) == ("page", "lens-jump-demo.html", "")
    assert Page(message["html"]).texts["h1"] == ["The old man"]


def test_a_folder_takes_the_page_under_its_own_name_and_no_folder_is_said(bench: Explore, tmp_path: Path) -> None:
    assert bench.save(tmp_path) == tmp_path / "lens-jump-demo.html"
    with pytest.raises(LensError, match=r"none.page\.html can't be written \(No such file or directory\)\."):
        bench.save(tmp_path / "none" / "page.html")


def test_pictures_know_how_their_files_are_called(bench: Explore) -> None:
    assert bench.panel("jump").topk.stem == "lens-jump-demo-"
    bench.session.panel = "lens_table"
    assert bench.panel("lens_table").stem == "lens-table-demo"
    bench.session.panel = "jump"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("jump", "demo"), "lens-jump-demo"),
        (("jump", "EleutherAI/pythia-70m"), "lens-jump-EleutherAI-pythia-70m"),
        (("jump", "../../etc/passwd"), "lens-jump-etc-passwd"),
        (("jump", 'a:b*c?"<>|\\d'), "lens-jump-a-b-c-d"),
        (("jump", "模型"), "lens-jump-模型"),
    ],
)
def test_a_file_name_holds_what_every_system_takes(words: tuple[str, ...], name: str) -> None:
    assert file_name(*words) == name
