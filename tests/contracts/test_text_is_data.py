"""A text, a token or a name is data wherever it is drawn: nothing in it becomes mark-up."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

import lens
from lens.panels import explore
from lens.panels._shelf import Question, Shelf
from lens.panels._work import in_words
from lens.panels.tabs import jump
from lens.panels.tabs.compare import _short
from lens.views import lens_table

EVIL = '<img src=x onerror="alert(1)"><b>bold</b> <a href="javascript:alert(1)">x</a> &lt; %{y} </script><svg/onload=1>'


class Tags(HTMLParser):
    """The elements of some HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


def elements(html: str) -> set[str]:
    parser = Tags()
    parser.feed(html)
    return set(parser.found)


@pytest.fixture(scope="module")
def reading() -> lens.Reading:
    return lens.read(lens.load("demo", device="cpu"), EVIL, casts=["id"], k=5)


def labels(value: Any) -> list[str]:
    """Every text in a figure."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in labels(each)]
    return [text for each in value for text in labels(each)] if isinstance(value, (list, tuple)) else []


def test_plotly_is_given_no_mark_up_but_line_breaks(reading: lens.Reading) -> None:
    figure = json.loads(lens_table(reading, cast="id").to_json())
    shown = [figure["layout"]["title"]["text"], *figure["layout"]["xaxis"]["ticktext"]]
    shown += labels(figure["data"][0]["text"]) + labels(figure["data"][0]["customdata"])
    assert set().union(*map(elements, shown)) <= {"br"}
    assert any("&lt;" in text for text in shown)  # the text did hold what could have been an element


def test_a_label_does_not_fill_in_a_hover_template(reading: lens.Reading) -> None:
    """`%{y}` of a text is shown as it is: it stands in the data, not in the template."""
    figure = json.loads(lens_table(reading, cast="id").to_json())
    assert figure["data"][0]["hovertemplate"] == "%{y}<br>%{customdata}<extra></extra>"
    assert figure["data"][0]["texttemplate"] == "%{text}"


def widgets_of(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in widgets_of(child))]


def test_no_widget_that_draws_html_holds_the_text_as_mark_up() -> None:
    made = explore("demo", EVIL, state={"other_text": EVIL, "plan": "<i>0-3</i>"})
    try:
        for widget in widgets_of(made):
            if type(widget).__name__ in ("HTML", "HTMLMath"):
                assert not elements(widget.value) & {"img", "script", "svg", "a", "b", "i"}, widget.value
    finally:
        made.close()


def test_a_refusal_repeats_a_name_as_text() -> None:
    made = explore("<img src=x onerror=alert(1)>", "text", state={"k": "<b>"})
    try:
        for widget in widgets_of(made):
            if type(widget).__name__ == "HTML":
                assert not elements(widget.value) & {"img", "b"}
    finally:
        made.close()


def test_what_goes_wrong_inside_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """An unforeseen error may name files of the host: a visitor is told its kind alone."""
    shown = in_words(RuntimeError("cannot open /secret/place")).text
    assert "(RuntimeError)" in shown
    assert "secret" not in shown
    assert "secret" in caplog.text


def test_what_a_browser_gets_as_json_is_text(reading: lens.Reading) -> None:
    shelf = Shelf()
    shelf.load("demo")
    answer = shelf.answer(Question("demo", EVIL))
    rows = jump.columns(answer, 4, 5, None)[0]["rows"]
    assert all(row["label"] == answer.reading.labels[row["token_id"]] for row in rows if answer.reading)


def test_a_sentence_that_turns_the_direction_turns_only_itself() -> None:
    """In Compare's titles a right-to-left override had turned "layer 0 mapped to layer 12" around, too."""
    assert _short("plain") == "plain"
    assert _short("a\u202eb") == "\u2068a\u202eb\u2069"
    assert _short("\u05d0" * 99) == "\u2068" + "\u05d0" * 39 + "…\u2069"
