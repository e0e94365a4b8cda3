"""Taking a picture along: what is saved holds the numbers that were given, and is what it says it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import Page

from lens.panels.live import Chart, Exits, HeatMap, Picture, Shifts, TopK
from tests.ui.test_live import MARKUP, Reading, View, page, tab  # noqa: F401 - fixtures

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


PICTURES = {each.__name__: each for each in (chart, heat, bars, table, shifts, exits)}


@pytest.fixture(params=PICTURES)
def picture(request: pytest.FixtureRequest) -> Picture:
    made: Picture = PICTURES[request.param]()
    return made


def saving(page: Page, view: View, place: int = 0) -> Saved:  # noqa: F811
    """`saved(kind)`: the file that the menu gives."""

    def saved(kind: str) -> bytes:
        view.root.get_by_role("button", name="Save this figure").click()
        with page.expect_download() as coming:
            view.root.get_by_role("menuitem", name=kind).nth(place).click()
        saved.name = coming.value.suggested_filename  # type: ignore[attr-defined]
        return Path(coming.value.path()).read_bytes()

    return saved


def shown(page: Page, widget: Picture) -> View:  # noqa: F811
    view = View(page, widget)
    view.receive(_esm=widget._esm, _css=widget._css)  # as anywidget has them
    page.wait_for_function("(i) => views[i].el.querySelector('.lens-take').checkVisibility()", arg=view.number)
    return view


def words(svg: ElementTree.Element) -> str:
    return " ".join("".join(text.itertext()) for text in svg.iter(f"{SVG}text"))


def test_a_drawing_is_whole_xml_that_needs_no_style_sheet(page: Page, picture: Picture) -> None:  # noqa: F811
    file = saving(page, shown(page, picture))("SVG")
    svg = ElementTree.fromstring(file)  # noqa: S314 - our own
    assert svg.tag == f"{SVG}svg"
    assert svg.find(f"{SVG}title").text
    assert len(svg.find(f"{SVG}desc").text) > 10
    assert svg.find(f"{SVG}rect").get("fill") == "#ffffff"
    tags = {node.tag.removeprefix(SVG) for node in svg.iter()}
    assert tags <= DRAWN
    attributes = [(name, value) for node in svg.iter() for name, value in node.items()]
    assert not [name for name, value in attributes if name in ("class", "href") or "var(" in value]
    assert len(list(svg.iter(f"{SVG}text"))) > 3


def test_a_picture_has_twice_the_pixels_of_its_drawing(page: Page, picture: Picture) -> None:  # noqa: F811
    view = shown(page, picture)
    svg = ElementTree.fromstring(saving(page, view)("SVG"))  # noqa: S314 - our own
    file = saving(page, view)("PNG")
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    size = [int.from_bytes(file[at : at + 4]) for at in (16, 20)]
    assert size == [2 * int(svg.get(name)) for name in ("width", "height")]
