"""The live widgets without a browser: what travels to it, and that their colours can be told apart."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from ipywidgets import Widget
from traitlets import TraitError

from lens.errors import LensError
from lens.panels.live import Chart, Chips, Exits, Facts, HeatMap, LensTable, Live, Notice, Sentence, Shifts, Strip, TopK

WIDGETS = [Sentence, Chips, TopK, LensTable, Notice]
ALL = [*WIDGETS, Chart, Exits, Facts, HeatMap, Shifts, Strip]
CLASS = re.compile(r"\.(lens-[a-z-]+)")
THEMES = {"light": "#ffffff", "dark": "#111315"}  # and the ground of each, where Jupyter gives none


@pytest.mark.parametrize("kind", ALL)
def test_each_widget_brings_its_whole_script_and_style(kind: type[Live]) -> None:
    widget = kind()
    assert widget._esm.count("export default { initialize, render };") == 1
    assert "function lifetime()" in widget._esm
    assert "--lens-ramp-id" in widget._css
    widget.close()


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_asked_of_another_host(kind: type[Live]) -> None:
    named = kind._esm + kind._css
    assert set(re.findall(r"https?://[^\s'\"]+", named)) <= {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"@import|\bimport\s*[\"'(]|innerHTML|insertAdjacentHTML|document\.write", named)


def test_no_sheet_styles_what_is_another_s() -> None:
    """All sheets meet on one page: a class that two of them name must be one that all share."""
    folder = files("lens.panels.live")
    sheets = {
        each.name: set(CLASS.findall(each.read_text("utf-8")))
        for each in folder.iterdir()
        if each.name.endswith(".css")
    }
    shared = sheets.pop("theme.css") | sheets.pop("take.css")
    of_the_page = sheets.pop("offline.css")  # it arranges the widgets of all
    assert of_the_page
    assert len(sheets) > 10
    named = Counter(name for sheet in sheets.values() for name in sheet - shared)
    assert [name for name, times in named.items() if times > 1] == []


@pytest.mark.parametrize("kind", ALL)
def test_every_rule_is_scoped(kind: type[Live]) -> None:
    bare = re.sub(
        r"/\*.*?\*/|url\([^)]*\)|@keyframes lens-\S+ \{(\s*\w+ \{[^}]*\})*\s*\}", "", kind._css, flags=re.DOTALL
    )
    selectors = [part.strip() for part in re.findall(r"([^{}]+)\{", bare) if not part.strip().startswith("@")]
    assert [selector for selector in selectors if ".lens" not in selector] == []


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Sentence, "value", 3),
        (Sentence, "maximum", 0),
        (Chips, "position", -2),
        (Chips, "tokens", [{"label": 3}]),
        (Chips, "tokens", ["The"]),
        (TopK, "k", 0),
        (TopK, "columns", [{"key": "id", "rows": [{"label": "a", "probability": 1.5}]}]),
        (TopK, "columns", [{"key": "id", "action": "fit"}]),
        (LensTable, "top", "text"),
        (LensTable, "position", -2),
        (Notice, "kind", "loud"),
        (Notice, "action", "retry"),
    ],
)
def test_traits_refuse_what_they_are_not(kind: type[Live], name: str, value: Any) -> None:
    widget = kind()
    with pytest.raises(TraitError):
        setattr(widget, name, value)


@pytest.mark.parametrize("kind", WIDGETS)
def test_state_comes_back_as_it_went(kind: type[Live]) -> None:
    states: dict[type[Live], dict[str, Any]] = {
        Sentence: {"value": "The 😀 man", "note": "3 tokens"},
        Chips: {"tokens": [{"label": "The", "special": False, "masked": True, "title": "id 1"}], "position": 0},
        TopK: {"columns": [{"key": "mat", "rows": [], "message": None, "action": None}], "k": 3, "busy": True},
        LensTable: {"top": b"\0\1", "spec": {"casts": ["id"]}, "cast": "difference", "source": 3, "position": 2},
        Notice: {"kind": "error", "text": "No.", "action": {"id": "retry", "label": "Again"}},
    }
    widget = kind()
    widget.set_state(states[kind])  # as a message from the browser would
    assert {name: widget.get_state()[name] for name in states[kind]} == states[kind]


def test_a_sentence_is_cut_to_its_maximum_and_is_always_text() -> None:
    widget = Sentence(maximum=4)
    widget.value = "ab😀😀😀"
    assert widget.value == "ab😀😀"
    widget.value = "a\ud800b"
    assert widget.value == "a?b"


def test_what_is_shown_together_travels_together(monkeypatch: pytest.MonkeyPatch) -> None:
    widget, sent = TopK(), []
    monkeypatch.setattr(Widget, "send_state", lambda _self, key=None: sent.append(set(key)))
    widget.show(columns=[{"key": "id"}], k=5, busy=True)
    assert sent == [{"columns", "k", "busy"}]
    with pytest.raises(TraitError):
        widget.show(colums=[])


def test_what_is_no_number_in_a_table_is_unknown() -> None:
    widget = Facts()
    row = ["id", np.float64(0.5), np.int64(3), [np.float64(1.25), np.nan], float("inf")]
    widget.fill("Title", [], [row])
    assert json.dumps(widget.spec["rows"]) == '[["id", 0.5, 3, [1.25, null], null]]'


def test_messages_come_by_kind_and_stop_when_undone() -> None:
    widget, heard = Chips(), []
    undo = widget.on_message("pick", heard.append)
    for content in ({"kind": "pick", "position": 1}, {"kind": "other"}, "noise"):
        widget._handle_custom_msg(content, [])
    undo()
    widget._handle_custom_msg({"kind": "pick", "position": 2}, [])
    assert heard == [{"kind": "pick", "position": 1}]


def test_the_notice_speaks_and_falls_silent() -> None:
    widget = Notice()
    widget.error("No such model.", "Give a folder.", {"id": "retry", "label": "Try again"})
    assert (widget.kind, widget.text, widget.action) == (
        "error",
        "No such model.",
        {"id": "retry", "label": "Try again"},
    )
    widget.info("Loading …")
    assert (widget.kind, widget.detail, widget.action) == ("info", "", None)
    widget.clear()
    assert (widget.kind, widget.text) == ("none", "")


SPEC = {"layers": [0, 1], "columns": [{"label": "a"}] * 3, "casts": ["id"], "k": 2, "metrics": [{"key": "kl"}]}


def test_a_reading_travels_as_little_endian_bytes() -> None:
    draw = np.random.default_rng(0)
    top, shares, scores = np.arange(18).reshape(1, 3, 3, 2), draw.random((1, 3, 3, 2)), draw.random((1, 1, 3, 3))
    table = LensTable()
    table.fill({**SPEC, "vocabulary": ["x"] * 18}, top, shares, scores, cast="id", metric="kl")
    assert np.array_equal(np.frombuffer(table.top, "<i4"), top.ravel())
    assert np.array_equal(np.frombuffer(table.probabilities, "<f4"), shares.astype("f4").ravel())
    assert np.array_equal(np.frombuffer(table.scores, "<f4"), scores.astype("f4").ravel())
    assert table.metric == "kl"


def test_a_reading_of_another_shape_is_refused() -> None:
    message = r"The picture's scores have shape \(1, 1, 2, 3\); its spec asks for \(1, 1, 3, 3\)\."
    with pytest.raises(LensError, match=message):
        LensTable().fill(SPEC, np.zeros((1, 3, 3, 2)), np.zeros((1, 3, 3, 2)), np.zeros((1, 1, 2, 3)))


# ---------------------------------------------------------------- colour, by the published formulas


def _linear(colour: str) -> np.ndarray:
    value = np.frombuffer(bytes.fromhex(colour.lstrip("#")), np.uint8) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    dark, light = sorted(float(_linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _oklab(linear: np.ndarray) -> np.ndarray:
    """Björn Ottosson, A perceptual color space for image processing, 2020."""
    cone = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
    cone += [[0.0883024619, 0.2817188376, 0.6299787005]]
    lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
    lab += [[0.0259040371, 0.7827717662, -0.8086757660]]
    return np.array(lab) @ np.cbrt(np.array(cone) @ linear)


# Machado, Oliveira and Fernandes 2009, full severity.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def _theme(name: str) -> dict[str, str]:
    """The variables of the light or the dark theme."""
    block = Sentence._css.split("color-scheme:")[["light", "dark"].index(name)]
    return dict(re.findall(r"--lens-([a-z-]+): ([^;]+);", block))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("ramp", ["ramp-id", "ramp-mat", "ramp-model"])
def test_ramps_go_in_even_steps_of_lightness(theme: str, ramp: str) -> None:
    lightness = np.array([_oklab(_linear(stop))[0] for stop in _theme(theme)[ramp].split(", ")])
    steps = np.abs(np.diff(lightness))
    assert steps.min() > 0.9 * steps.max()
    assert steps.max() > 0.04


@pytest.mark.parametrize("theme", THEMES)
def test_equally_strong_is_equally_light_in_every_ramp(theme: str) -> None:
    ends = [_oklab(_linear(_theme(theme)[f"ramp-{name}"].split(", ")[-1]))[0] for name in ("id", "mat", "model")]
    assert np.ptp(ends) < 0.01


@pytest.mark.parametrize("theme", THEMES)
def test_words_and_bars_stand_out_from_the_ground(theme: str) -> None:
    colours, ground = _theme(theme), THEMES[theme]
    for name in ("ink", "soft", "faint", "id-text", "mat-text", "model-text", "error"):
        assert _contrast(colours[name], ground) >= 4.5, name
    for name in ("id", "mat", "model", "border"):
        assert _contrast(colours[name], ground) >= 3, name


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_id_mat_and_the_model_differ_for_the_colour_blind(theme: str, blindness: str) -> None:
    colours = _theme(theme)
    seen = [
        _oklab(np.clip(np.array(BLINDNESS[blindness]) @ _linear(colours[name]), 0, 1))
        for name in ("id", "mat", "model")
    ]
    for one, other in [(0, 1), (0, 2), (1, 2)]:
        assert np.linalg.norm(seen[one] - seen[other]) > 0.08
