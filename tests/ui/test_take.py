"""Taking a picture along: what is saved holds the numbers that were given, and is what it says it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from lens.panels.live import Chart, Exits, Facts, HeatMap, Picture, Shifts, Strip, TopK
from lens.plans import Plan
from tests.ui import test_live
from tests.ui.conftest import box_of
from tests.ui.test_live import MARKUP, Reading, View, let_draw

page, tab = test_live.page, test_live.tab  # fixtures
pytestmark = pytest.mark.ui

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {"svg", "title", "desc", "g", "rect", "line", "path", "polygon", "polyline", "circle", "text"}
DRAWN |= {"linearGradient", "stop", "clipPath"}
HOSTILE = f"{MARKUP}</script><!-- \x01 '\"&"
Saved = Callable[[str], bytes]


def chart() -> Chart:
    line = {"key": "id", "title": "id", "values": [0.1, 1 / 3, None], "errors": [0.01, 0.02, None]}
    more = {"key": "mat", "title": f"=mat {HOSTILE}", "values": [0.5, 1e-9, 0.7], "errors": [None] * 3, "style": "dash"}
    axes = {"x": {"label": "layer", "values": [0, 1, 2]}, "y": {"label": "agreement", "low": 0, "high": 1}}
    spec = {"title": "Agreement by layer", "note": f"A note. {HOSTILE}", "lines": [line, more], "marker": {"x": 1}}
    return Chart(spec=spec | axes, stem="lens-curves-demo")


def heat(square: bool = False) -> HeatMap:
    draw = np.random.default_rng(1)
    maps = [{"key": "id", "title": "id"}, {"key": "mat", "title": "mat"}]
    variants = [{"key": key, "title": key, "hint": ""} for key in ("stream", "update")]
    spec = {
        "maps": maps,
        "layers": [0, 1, 2],
        "variants": variants,
        "title": "Held-out r²",
        "note": "",
        "square": square,
    }
    found = HeatMap(variant="stream", source=0, target=2, stem="lens-r2-demo")
    values = draw.random((2, 2, 3, 3))
    values[0, 0, 0, 1] = np.nan
    found.fill(spec, values, draw.random((2, 2, 3, 3)) / 10)
    return found


def bars() -> TopK:
    rows = [
        {"label": label, "probability": share, "token_id": i, "agrees": i == 0}
        for i, (label, share) in enumerate([("␣fire", 0.4213), ("=1+1", 0.1), (HOSTILE, 1e-5)])
    ]
    facts = [{"name": "KL", "value": "0.31 nats", "title": ""}]
    column = {"key": "mat", "title": "mat", "subtitle": "layer 4", "rows": rows, "facts": facts}
    columns = [column | {"message": None, "action": None}, column | {"key": "id", "title": "id"}]
    return TopK(columns=columns, k=3, stem="lens-jump-demo-")


def table() -> Picture:
    return Reading(columns=30, labels=[f"␣w{i}" for i in range(28)] + [HOSTILE, "=x"]).widget(stem="lens-table-demo")


def shifts() -> Shifts:
    token = {"change": -0.25, "prediction": "␣fire", "model": "␣sea", "agrees": False}
    tokens = [token | {"label": label} for label in ("␣old", HOSTILE, "@cmd")]
    return Shifts(spec={"title": "What the plan changes", "note": "", "tokens": tokens}, stem="lens-plan-demo-")


def exits() -> Exits:
    token = {"confidence": 0.75, "threshold": 0.3, "prediction": "␣fire", "model": "␣sea", "agrees": False}
    tokens = [token | {"label": label, "layer": i + 1} for i, label in enumerate(("␣old", HOSTILE, "مرحبا"))]
    return Exits(spec={"tokens": tokens, "layers": 3, "note": "Mean layer 2."}, stem="lens-exits-demo")


def facts() -> Facts:
    columns = [
        {"title": "way", "format": "text"},
        {"title": "token", "format": "token"},
        {"title": "layer", "format": "index"},
        {"title": "saved", "format": "number", "digits": 2},
        {"title": "agreement", "format": "percent", "digits": 1, "error": True},
    ]
    rows = [
        ["=by confidence", "␣fire", 1234, -1234.5678901234567, [1 / 3, 0.0123456789]],
        [HOSTILE, "@cmd", 0, None, [None, None]],
    ]
    found = Facts(stem="lens-savings-demo")
    found.fill("What is saved", columns, rows, f"A note. {HOSTILE}")
    return found


def strip() -> Strip:
    found = Strip(stem="lens-assembly-line-demo-")
    found.answer(Plan.parse("0-3 [4-6|7]x2 (8 9~ffn)x3 mat(10>11)", 12), 12, "Many blocks run.")
    return found


PICTURES = {each.__name__: each for each in (chart, heat, bars, table, shifts, exits, facts, strip)}


def saving(page: Page, view: View, place: int = 0) -> Saved:
    """`saved(kind)`: the file that the menu gives."""

    def saved(kind: str) -> bytes:
        view.root.get_by_role("button", name="Save this figure").click()
        with page.expect_download() as coming:
            view.root.get_by_role("menuitem", name=kind).nth(place).click()
        saved.name = coming.value.suggested_filename  # type: ignore[attr-defined]
        return Path(coming.value.path()).read_bytes()

    return saved


def shown(page: Page, widget: Picture) -> View:
    view = View(page, widget)
    view.receive(_esm=widget._esm, _css=widget._css)  # as anywidget has them
    page.wait_for_function("(i) => views[i].el.querySelector('.lens-take').checkVisibility()", arg=view.number)
    return view


@dataclass(frozen=True)
class Taken:
    """What the menu of a picture gives."""

    picture: Picture
    files: dict[str, bytes]


@pytest.fixture(scope="module", params=PICTURES)
def taken(request: pytest.FixtureRequest, tab: Page, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """Each picture, looked at once and saved in every form that is drawn."""
    picture: Picture = PICTURES[request.param]()
    with test_live.opened(tab, tmp_path_factory.mktemp("taken")):
        saved = saving(tab, shown(tab, picture))
        return Taken(picture, {kind: saved(kind) for kind in ("SVG", "PNG", "HTML")})


def test_a_drawing_is_whole_xml_that_needs_no_style_sheet(taken: Taken) -> None:
    svg = ElementTree.fromstring(taken.files["SVG"])  # noqa: S314 - our own
    assert svg.tag == f"{SVG}svg"
    assert svg.find(f"{SVG}title").text
    assert len(svg.find(f"{SVG}desc").text) > 10
    assert svg.find(f"{SVG}rect").get("fill") == "#ffffff"
    tags = {node.tag.removeprefix(SVG) for node in svg.iter()}
    assert tags <= DRAWN
    attributes = [(name, value) for node in svg.iter() for name, value in node.items()]
    assert not [name for name, value in attributes if name in ("class", "href") or "var(" in value]
    assert len(list(svg.iter(f"{SVG}text"))) > 3


def test_the_drawing_of_a_plan_says_the_plan(page: Page) -> None:
    widget = strip()
    saved = saving(page, shown(page, widget))
    svg = ElementTree.fromstring(saved("SVG"))  # noqa: S314 - our own
    assert saved.name == "lens-assembly-line-demo-plan.svg"  # type: ignore[attr-defined]
    assert svg.find(f"{SVG}desc").text == "0-3 [4-6|7]x2 (8 9~ffn)x3 mat(10>11). Many blocks run."
    tiles = ["0", "1", "2", "3", "mean, ×2", "4", "5", "6", "7", "in a row, ×3", "8", "9", "~ffn", "mat 10→11"]
    words = ["Assembly line", *tiles, "Left out", "10", "11", "Plan", widget.text, widget.facts]
    assert [node.text for node in svg.iter(f"{SVG}text")] == words
    assert int(svg.get("width")) < 600  # no empty side


def test_a_plan_that_cannot_be_read_is_not_saved(page: Page) -> None:
    view = shown(page, strip())
    view.receive(error={"message": "no", "text": "0-3 [", "start": 4, "end": 5})
    expect(view.root.locator(".lens-take")).to_be_hidden()


def test_a_picture_has_twice_the_pixels_of_its_drawing(taken: Taken) -> None:
    svg = ElementTree.fromstring(taken.files["SVG"])  # noqa: S314 - our own
    file = taken.files["PNG"]
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    size = [int.from_bytes(file[at : at + 4]) for at in (16, 20)]
    assert size == [2 * int(svg.get(name)) for name in ("width", "height")]


def frame(file: bytes, **types: Any) -> pd.DataFrame:
    """The file as pandas reads it; what is text stays text."""
    return pd.read_csv(io.BytesIO(file), dtype=types, keep_default_na=False, na_values=[""])


same = partial(np.testing.assert_allclose, rtol=1e-15, atol=0)  # older pandas may err in the last bit


def test_the_numbers_of_a_chart_come_back_as_they_were(page: Page) -> None:
    widget = chart()
    found = frame(saving(page, shown(page, widget))("CSV"))
    assert list(found.columns) == ["line", "layer", "agreement", "standard error"]
    for line in widget.spec["lines"]:
        mine = found[found.line == (line["title"] if line["key"] == "id" else f"'{line['title']}")]
        assert mine["layer"].tolist() == [0, 1, 2]
        same(mine["agreement"], np.array(line["values"], float))
        same(mine["standard error"], np.array(line["errors"], float))


@pytest.mark.parametrize("square", [False, True])
def test_the_numbers_of_a_heat_map_come_back_as_they_were(page: Page, square: bool) -> None:
    widget = heat(square)
    found = frame(saving(page, shown(page, widget))("CSV"))
    values, errors = (np.frombuffer(getattr(widget, name), "<f4").reshape(2, 2, 3, 3) for name in ("values", "errors"))
    assert len(found) == 2 * 2 * (9 if square else 6)
    for row in found.itertuples(index=False):
        variant, name, source, target, value, error = row
        at = ["stream", "update"].index(variant), ["id", "mat"].index(name), source, target
        same([value, error], [values[at], errors[at]])


def test_the_numbers_of_the_lens_table_come_back_as_they_were(page: Page) -> None:
    reading = Reading(columns=30)
    found = frame(saving(page, shown(page, reading.widget()))("CSV"), token=str, at=str)
    assert len(found) == 2 * 4 * 30 + 30
    for c, cast in enumerate(["id", "mat"]):
        mine = found[found.cast == cast].sort_values(["source", "position"])
        assert mine.token.tolist() == [reading.word(c, row, column) for row in range(4) for column in range(30)]
        for m, metric in enumerate(["probability", "entropy", "rank", "kl", "surprisal"]):
            same(mine[metric], reading.scores[m, c, :4].ravel())
    own = found[found.cast == "model"]
    assert set(own.source) == {4}
    same(own.kl, reading.scores[3, 0, 4])


def test_every_prediction_of_the_lens_table_comes_along(page: Page) -> None:
    reading = Reading()
    saved = saving(page, shown(page, reading.widget(stem="lens-table-demo")), place=1)
    found = frame(saved("CSV"), token=str)
    assert saved.name == "lens-table-demo-predictions.csv"  # type: ignore[attr-defined]
    mine = found[found.cast == "mat"].sort_values(["source", "position", "rank"])
    same(mine.probability, reading.probabilities[1, :4].ravel())
    assert mine.token.tolist() == [reading.labels[place] for place in reading.top[1, :4].ravel()]


def test_the_numbers_of_a_table_come_back_as_they_were(page: Page) -> None:
    widget = facts()
    found = frame(saving(page, shown(page, widget))("CSV"))
    assert list(found.columns) == ["way", "token", "layer", "saved", "agreement", "standard error of agreement"]
    rows = widget.spec["rows"]
    assert found.way[0] == "'=by confidence"
    assert found.token.tolist() == ["␣fire", "'@cmd"]
    assert found.layer.tolist() == [1234, 0]
    same(found.saved, np.array([row[3] for row in rows], float))
    same(found.iloc[:, 4:], np.array([row[4] for row in rows], float))


def test_a_table_is_one_to_those_who_listen(page: Page) -> None:
    root = shown(page, facts()).root
    expect(root.get_by_role("table", name="What is saved")).to_be_visible()
    expect(root.get_by_role("columnheader")).to_have_text(["way", "token", "layer", "saved", "agreement"])
    expect(root.get_by_role("rowheader")).to_have_text(["=by confidence", HOSTILE])
    cells = ["␣fire", "1234", "−1,234.57", "33.3 ± 1.2\u202f%", "@cmd", "0", "–", "–"]
    assert root.get_by_role("cell").all_inner_texts() == cells


def test_predictions_come_back_as_they_were(page: Page) -> None:
    widget = bars()
    saved = saving(page, shown(page, widget))
    found = frame(saved("CSV"), token=str)
    assert saved.name == "lens-jump-demo-predictions-mat-id.csv"  # type: ignore[attr-defined]
    rows = [row for column in widget.columns for row in column["rows"]]
    same(found.probability, [row["probability"] for row in rows])
    assert found.token_id.tolist() == [row["token_id"] for row in rows]
    assert found.agrees.tolist() == [row["agrees"] for row in rows]


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TRIGGERS = st.sampled_from(["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", ""])
NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)


@pytest.fixture(scope="module")
def table_of(browser: Browser) -> Callable[[list[str], list[float]], str]:
    """`table_of(texts, numbers)`: both as columns of a CSV, by the function that the menus use."""
    blank = browser.new_page()
    module = Chart._esm.replace("export default { initialize, render };", "window.csvOf = csvOf;")
    blank.add_script_tag(content=module, type="module")

    def made(texts: list[str], numbers: list[float]) -> str:
        rows = [list(pair) for pair in zip(texts, numbers, strict=True)]
        text: str = blank.evaluate("(rows) => csvOf({ columns: ['text', 'number'], rows })", rows)
        return text

    return made


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TRIGGERS, TEXTS, NUMBERS), min_size=1, max_size=8))
def test_no_text_of_a_csv_is_a_formula_and_no_number_is_touched(
    table_of: Callable[[list[str], list[float]], str], rows: list[tuple[str, str, float]]
) -> None:
    texts, numbers = [first + rest for first, rest, _ in rows], [number for *_, number in rows]
    file = table_of(texts, numbers)
    assert file[0] == "\ufeff"
    found = list(csv.reader(io.StringIO(file[1:], newline="")))
    assert found[0] == ["text", "number"]
    assert [float(number) for _, number in found[1:]] == [float(number) for number in numbers]
    for cell, text in zip([text for text, _ in found[1:]], texts, strict=True):
        assert cell == (f"'{text}" if text[:1] in set("=+-@\t\r\n＝＋－＠") else text)
        assert not cell.startswith(tuple("=+-@\t\r\n＝＋－＠"))


def test_a_page_of_its_own_shows_the_picture_without_a_network(taken: Taken, browser: Browser, tmp_path: Path) -> None:
    saved = tmp_path / "figure.html"
    saved.write_bytes(taken.files["HTML"])
    context = browser.new_context(offline=True)
    alone = context.new_page()
    heard: list[str] = []
    alone.on("request", lambda request: heard.append(request.url))
    alone.on("pageerror", lambda error: heard.append(str(error)))
    alone.on("console", lambda message: heard.append(message.text))
    alone.goto(saved.as_uri())
    expect(alone.locator(".lens-picture")).to_be_visible()
    expect(alone.get_by_role("button", name="Save this figure")).to_be_visible()
    assert HOVERS[type(taken.picture).__name__](alone)
    assert alone.evaluate("window.hit") is None
    assert heard == [saved.as_uri()]
    context.close()


def pointed(page: Page, place: str, said: str) -> str:
    """What is said where the pointer stands in the middle of a place."""
    page.locator(place).first.hover()
    let_draw(page)
    return page.locator(said).first.inner_text()


HOVERS: dict[str, Callable[[Page], bool]] = {
    "Chart": lambda page: "id 0.33 ± 0.02" in pointed(page, ".lens-chart-svg", ".lens-readout"),
    "HeatMap": lambda page: "layer 1 → 1" in pointed(page, "canvas", ".lens-readout"),
    "TopK": lambda page: "probability 0.4213" in (page.locator(".lens-row").first.get_attribute("title") or ""),
    "LensTable": lambda page: "position" in pointed(page, "canvas", ".lens-tooltip"),
    "Shifts": lambda page: (
        "loss of the next token −0.25 nats" in (page.locator(".lens-exit").first.get_attribute("title") or "")
    ),
    "Facts": lambda page: "33.3 ± 1.2\u202f%" in page.get_by_role("table", name="What is saved").inner_text(),
    "Strip": lambda page: (
        page.get_by_title("block 11 does not run").is_visible() and not page.get_by_role("option").count()
    ),
    "Exits": lambda page: "confidence 0.750" in (page.locator(".lens-exit").first.get_attribute("title") or ""),
}


def test_the_menu_follows_the_keyboard(page: Page) -> None:
    view = shown(page, chart())
    button = view.root.get_by_role("button", name="Save this figure")
    button.focus()
    page.keyboard.press("ArrowDown")
    expect(button).to_have_attribute("aria-expanded", "true")
    seen = []
    for key in ["ArrowDown", "ArrowUp", "ArrowUp", "Home", "End"]:
        page.keyboard.press(key)
        seen.append(page.evaluate("document.activeElement.querySelector('strong').textContent"))
    assert seen == ["PNG", "SVG", "CSV", "SVG", "CSV"]
    page.keyboard.press("Escape")
    expect(view.root.get_by_role("menu")).to_be_hidden()
    expect(button).to_be_focused()
    with page.expect_download() as coming:
        page.keyboard.press("Enter")
        page.keyboard.press("End")
        page.keyboard.press("Enter")
    assert coming.value.suggested_filename == "lens-curves-demo.csv"
    expect(view.root.get_by_role("status")).to_have_text("Saved lens-curves-demo.csv")


def test_the_menu_stays_with_its_button_while_the_page_scrolls(page: Page) -> None:
    view = shown(page, chart())
    page.locator("main").evaluate("node => { node.style.padding = '200px 0 2000px'; }")
    button = view.root.get_by_role("button", name="Save this figure")
    button.click()
    menu = view.root.get_by_role("menu")
    apart = box_of(menu)["y"] - box_of(button)["y"]
    page.evaluate("scrollBy(0, 120)")
    page.wait_for_function("scrollY === 120")
    let_draw(page)  # the event of a scroll comes with the next frame
    expect(menu).to_be_visible()
    assert box_of(menu)["y"] - box_of(button)["y"] == pytest.approx(apart)


def test_there_is_nothing_to_save_of_an_empty_picture(page: Page) -> None:
    View(page, Chart(spec={"title": "Curves", "note": "Nothing yet."}))
    expect(page.locator(".lens-take")).to_be_hidden()
