"""The live widgets in a real browser, on a page of our own that plays anywidget's part."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ipywidgets import DOMWidget
from playwright.sync_api import Browser, Locator, Page, Request, expect

from lens.panels.live import Chart, Chips, Exits, Guide, LensTable, Live, Notice, Sentence, TopK
from tests.ui.conftest import box_of

pytestmark = pytest.mark.ui

MARKUP = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
TOKENS = ["The", "␣old", "␣man", "␣sat", "␣by", "␣the", "␣fire"]
METRICS = ["probability", "entropy", "rank", "kl", "surprisal"]

PAGE = """<!doctype html><meta charset="utf-8"><title>live</title>
<style>body { margin: 0; padding: 24px }</style><main></main>
<script>
class Model {
  constructor(state) { Object.assign(this, { state, handlers: [], messages: [], saves: [] }); }
  get(name) { return this.state[name]; }
  set(name, value) {
    if (this.state[name] === value) return;
    this.state[name] = value;
    this.fire(`change:${name}`);
  }
  save_changes() { this.saves.push({ ...this.state }); }
  send(content) { this.messages.push(content); }
  on(event, handler) { this.handlers.push([event, handler]); }
  off(event, handler) { this.handlers = this.handlers.filter(([a, b]) => a !== event || b !== handler); }
  fire(event) { for (const [name, handler] of [...this.handlers]) if (name === event) handler(); }
  receive(state) { // one message: everything is set, then everything is told
    Object.assign(this.state, decode(state));
    for (const name of Object.keys(state)) this.fire(`change:${name}`);
  }
}
function decode(state) {
  const bytes = (text) => Uint8Array.from("_" + atob(text), (sign) => sign.charCodeAt(0)); // an odd offset
  const one = (value) => (value?.base64 === undefined ? value : new DataView(bytes(value.base64).buffer, 1));
  return Object.fromEntries(Object.entries(state).map(([name, value]) => [name, one(value)]));
}
const views = [];
async function mount(esm, css, state, shared) {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const module = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
  const model = shared === null ? new Model(decode(state)) : views[shared].model;
  const el = document.createElement("div");
  const cleanup = module.default.render({ model, el });
  document.querySelector("main").append(el); // only now, as ipywidgets does
  return views.push({ model, el, cleanup }) - 1;
}
</script>"""


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One tab for the tests that leave no trace but the page's own."""
    tab = browser.new_page()
    yield tab
    tab.close()


@pytest.fixture
def page(tab: Page, tmp_path: Path) -> Iterator[Page]:
    """The tab on a fresh page."""
    with opened(tab, tmp_path):
        yield tab


@pytest.fixture
def still(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """A page whose time moves only when told to."""
    page = browser.new_page()
    page.clock.install(time=0)
    with opened(page, tmp_path):
        page.clock.pause_at(1)
        yield page
    page.close()


@contextmanager
def opened(page: Page, folder: Path) -> Iterator[None]:
    """The page of this module; a script error on it, or a request that leaves it, is a failure."""
    errors: list[str] = []

    def fail(error: object) -> None:
        errors.append(str(error))

    def leave(request: Request) -> None:
        if request.url.startswith("http"):
            errors.append(request.url)

    page.set_default_timeout(5_000)
    page.set_viewport_size({"width": 1100, "height": 900})
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    page.mouse.move(0, 0)
    page.on("pageerror", fail)
    page.on("request", leave)
    (folder / "live.html").write_text(PAGE, encoding="utf-8")
    page.goto((folder / "live.html").as_uri())
    yield
    page.remove_listener("pageerror", fail)
    page.remove_listener("request", leave)
    assert errors == []


def _wire(state: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in state.items()
    }


class View:
    """One mounted view and the model behind it."""

    def __init__(self, page: Page, widget: Live, shared: int | None = None) -> None:
        own = set(widget.trait_names(sync=True)) - set(DOMWidget.class_trait_names())
        state = _wire({name: getattr(widget, name) for name in own if not name.startswith("_")})
        self.page = page
        self.number = page.evaluate("(all) => mount(...all)", [widget._esm, widget._css, state, shared])
        self.root = page.locator("main > .lens-live").nth(self.number)

    def _of_model(self, what: str) -> Any:
        return self.page.evaluate(f"(i) => views[i].model.{what}", self.number)

    def get(self, name: str) -> Any:
        return self._of_model(f"get('{name}')")

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self._of_model("messages")

    @property
    def saves(self) -> list[dict[str, Any]]:
        return self._of_model("saves")

    def receive(self, **state: Any) -> None:
        self.page.evaluate("([i, state]) => views[i].model.receive(state)", [self.number, _wire(state)])

    def end(self) -> None:
        self.page.evaluate("(i) => { views[i].cleanup(); views[i].el.remove(); }", self.number)


# ---------------------------------------------------------------- Sentence


def test_typing_is_sent_once_the_hand_rests(still: Page) -> None:
    view = View(still, Sentence())
    still.locator("textarea").focus()
    still.keyboard.type("The old man")
    still.clock.run_for(119)
    assert view.saves == []
    still.clock.run_for(2)
    assert [save["value"] for save in view.saves] == ["The old man"]


@pytest.mark.parametrize("end", ["blur", "Enter", "Control+Enter"])
def test_typing_is_sent_at_once_when_finished(still: Page, end: str) -> None:
    view = View(still, Sentence())
    still.locator("textarea").press_sequentially("sat")
    if end == "blur":
        still.locator("textarea").blur()
    else:
        still.keyboard.press(end)
    still.clock.run_for(1000)
    assert [save["value"] for save in view.saves] == ["sat"]


def test_shift_and_enter_begin_a_new_line(page: Page) -> None:
    View(page, Sentence())
    box = page.locator("textarea")
    box.press_sequentially("one")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    assert box.input_value() == "one\ntwo"


def test_an_answer_to_an_older_text_does_not_disturb_typing(still: Page) -> None:
    view = View(still, Sentence())
    box = still.locator("textarea")
    box.press_sequentially("one")
    still.clock.run_for(200)
    box.press_sequentially(" two")
    view.receive(value="one")
    assert box.input_value() == "one two"
    still.clock.run_for(200)
    assert view.get("value") == "one two"


def test_a_text_from_python_comes_in_and_the_caret_stays(page: Page) -> None:
    view = View(page, Sentence(value="The old man"))
    box = page.locator("textarea")
    box.focus()
    box.evaluate("(node) => node.setSelectionRange(3, 3)")
    view.receive(value="The young man")
    assert box.input_value() == "The young man"
    assert box.evaluate("(node) => [node.selectionStart, node.selectionEnd]") == [3, 3]
    assert view.saves == []


def test_a_long_paste_is_cut_with_a_note_and_no_half_characters(page: Page) -> None:
    view = View(page, Sentence(maximum=4))
    box = page.locator("textarea")
    box.fill("ab😀😀😀")
    assert box.input_value() == "ab😀😀"
    expect(view.root.get_by_role("status")).to_have_text("Only the first 4 characters are kept.")
    box.blur()
    assert view.get("value") == "ab😀😀"
    box.fill("ab")
    expect(view.root.get_by_role("status")).to_have_text("")


def test_the_box_grows_to_eight_lines_and_then_scrolls(page: Page) -> None:
    View(page, Sentence())
    box = page.locator("textarea")

    def height() -> float:
        return box.evaluate("(node) => node.offsetHeight")

    box.fill("one")
    single = height()
    box.fill("\n".join("12345678"))
    full = height()
    assert full == single + 7 * 22
    box.fill("\n" * 40)
    assert height() == full
    assert box.evaluate("(node) => getComputedStyle(node).overflowY") == "auto"


# ---------------------------------------------------------------- Chips


def _chips(labels: list[str], **state: Any) -> Chips:
    tokens = [{"label": label, "special": False, "masked": False, "title": f"id {i}"} for i, label in enumerate(labels)]
    return Chips(tokens=tokens, **state)


def test_a_click_on_a_chip_chooses_it(page: Page) -> None:
    view = View(page, _chips(TOKENS, position=6))
    page.get_by_role("option").nth(2).click()
    assert view.get("position") == 2
    assert view.messages == [{"kind": "pick", "position": 2}]
    assert len(view.saves) == 1
    expect(page.get_by_role("option", selected=True)).to_have_text("␣man")


def test_chips_follow_the_keyboard(page: Page) -> None:
    view = View(page, _chips(TOKENS * 6, position=1))
    page.keyboard.press("Tab")
    places = []
    for key in ["ArrowRight", "ArrowLeft", "Home", "ArrowLeft", "End", "ArrowUp", "ArrowDown", "Enter"]:
        page.keyboard.press(key)
        places.append(view.get("position"))
    assert places[:5] == [2, 1, 0, 0, 41]
    assert 0 < places[5] < 41  # one line up
    assert places[6:] == [41, 41]
    assert view.messages[-1] == {"kind": "pick", "position": 41}
    assert page.evaluate("document.activeElement.dataset.position") == "41"


def test_the_chosen_chip_is_in_view_and_the_page_stays(page: Page) -> None:
    view = View(page, _chips(TOKENS * 60, position=400))

    def shown() -> bool:
        return page.evaluate("""() => {
          const list = document.querySelector('.lens-chips-list').getBoundingClientRect();
          const chip = document.querySelector('[aria-selected=true]').getBoundingClientRect();
          return chip.top >= list.top && chip.bottom <= list.bottom && list.height < 150;
        }""")

    page.wait_for_function("document.querySelector('.lens-chips-list').scrollTop > 0")
    assert shown()
    view.receive(position=0)
    page.wait_for_function("document.querySelector('.lens-chips-list').scrollTop === 0")
    assert shown()
    assert page.evaluate("scrollY") == 0


# ---------------------------------------------------------------- TopK


def _column(key: str, shares: list[float], **more: Any) -> dict[str, Any]:
    rows = [
        {"label": TOKENS[i % 7], "probability": share, "token_id": i, "agrees": i == 1}
        for i, share in enumerate(shares)
    ]
    facts = [{"name": "entropy", "value": "3.21", "title": "nats"}]
    column = {"key": key, "title": key, "subtitle": "layer 4", "rows": rows, "facts": facts}
    return {**column, "message": None, "action": None, **more}


def _width(page: Page, column: str, row: int) -> float:
    bar = page.locator(f"[data-column={column}] .lens-row").nth(row).locator(".lens-bar")
    return bar.evaluate("(node) => node.getBoundingClientRect().width")


def test_bars_say_their_numbers_and_share_one_scale(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")  # so that bars are at rest at once
    View(page, TopK(columns=[_column("id", [0.2, 0.1, 0.0003]), _column("model", [0.421, 0.00001])]))
    row = page.locator("[data-column=id] .lens-row")
    assert [row.nth(i).get_attribute("data-probability") for i in range(3)] == ["0.2", "0.1", "0.0003"]
    assert row.nth(0).get_attribute("data-token") == "The"
    shares = page.locator(".lens-row-share").all_inner_texts()
    assert [re.sub(r"\s", " ", share) for share in shares] == ["20.0 %", "10.0 %", "0.03 %", "42.1 %", "< 0.01 %"]
    assert _width(page, "id", 0) / _width(page, "id", 1) == pytest.approx(2, rel=0.01)
    assert _width(page, "model", 0) / _width(page, "id", 0) == pytest.approx(2.105, rel=0.01)
    track = page.locator("[data-column=model] .lens-row-track").first.evaluate("(node) => node.clientWidth")
    assert _width(page, "model", 0) / track == pytest.approx(0.421 / 0.5, rel=0.01)  # the axis ends at 50 %
    assert re.sub(r"\s", " ", page.locator(".lens-column-axis").first.inner_text()).endswith("50 %")
    expect(page.locator("[data-column=id] .lens-row").nth(2)).to_have_attribute(
        "title", re.compile("probability 0.0003")
    )


def test_agreement_is_said_in_words_too(page: Page) -> None:
    View(page, TopK(columns=[_column("id", [0.2, 0.1])]))
    marks = page.locator(".lens-row-mark")
    expect(marks.nth(0)).to_have_text("")
    expect(marks.nth(1)).to_have_text("the model's own first choice: ")
    expect(marks.nth(1).locator("svg")).to_be_visible()


def test_a_message_stands_where_the_rows_would_and_nothing_jumps(page: Page) -> None:
    view = View(page, TopK(columns=[_column("id", [0.1] * 10), _column("mat", [0.1] * 10)], k=10))

    def height() -> float:
        return view.root.evaluate("(node) => node.getBoundingClientRect().height")

    full = height()
    action = {"id": "fit", "label": "Fit maps now"}
    absent = _column("mat", [], message="No maps for this model yet.", action=action, facts=[])
    view.receive(columns=[_column("id", [0.1] * 3), absent])
    expect(page.get_by_text("No maps for this model yet.")).to_be_visible()
    assert height() == full
    page.get_by_role("button", name="Fit maps now").click()
    assert view.messages == [{"kind": "action", "id": "fit"}]


def test_columns_stand_under_each_other_where_it_is_narrow(page: Page) -> None:
    View(page, TopK(columns=[_column("id", [0.1]), _column("mat", [0.1])]))
    left, right = (page.get_by_test_id(f"column-{key}") for key in ("id", "mat"))
    assert left.bounding_box()["y"] == right.bounding_box()["y"]
    page.set_viewport_size({"width": 420, "height": 900})
    assert left.bounding_box()["x"] == right.bounding_box()["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 420


# ---------------------------------------------------------------- LensTable


class Reading:
    """A seeded reading: 4 layers, two casts."""

    def __init__(self, columns: int = 7, labels: list[str] | None = None) -> None:
        draw = np.random.default_rng(0)
        cells = (2, 5, columns)
        self.labels = labels or [f"␣w{i}" for i in range(30)]
        self.top = draw.integers(0, len(self.labels), (*cells, 3), dtype=np.int32)
        self.probabilities = -np.sort(-draw.random((*cells, 3)).astype(np.float32) / 3)
        self.scores = draw.random((5, *cells)).astype(np.float32) * 8
        self.scores[0] = self.probabilities[..., 0]
        names = [TOKENS[i % 7] for i in range(columns)]
        self.spec = {
            "layers": [0, 1, 2, 3],
            "columns": [{"label": name, "special": False, "masked": False} for name in names],
            "casts": ["id", "mat"],
            "k": 3,
            "vocabulary": self.labels,
            "metrics": [_metric(name) for name in METRICS],
            "target": 4,
            "title": "Lens table",
            "note": "demo",
        }

    def widget(self, **state: Any) -> LensTable:
        table = LensTable()
        table.fill(self.spec, self.top, self.probabilities, self.scores, **{"source": 1, "position": 2, **state})
        return table

    def word(self, cast: int, row: int, column: int, i: int = 0) -> str:
        return self.labels[self.top[cast, row, column, i]]


def _metric(name: str) -> dict[str, Any]:
    best, high = ("high", 1.0) if name == "probability" else ("low", 8.0)
    return {"key": name, "title": name.capitalize(), "unit": "", "low": 0.0, "high": high, "better": best}


def _table(page: Page, reading: Reading | None = None, **state: Any) -> View:
    view = View(page, (reading or Reading()).widget(**state))
    page.wait_for_selector(".lens-table[data-cast]")
    return view


def _cell(page: Page, source: int | str, position: int) -> dict[str, Any]:
    return page.evaluate("(at) => document.querySelector('.lens-table').lensCell(...at)", [source, position])


def _point(page: Page, source: int | str, position: int, dx: float = 12, dy: float = 9) -> tuple[float, float]:
    box = _cell(page, source, position)["box"]
    return box["x"] + dx, box["y"] + dy


def let_draw(page: Page) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def _picture(page: Page) -> str:
    return page.evaluate("document.querySelector('.lens-table canvas').toDataURL()")


def _pixel(page: Page, source: int | str, position: int) -> tuple[int, ...]:
    """The colour near a corner of the cell, where no letter reaches."""
    x, y = _point(page, source, position, 6, 6)
    script = """([x, y]) => {
      const canvas = document.querySelector('.lens-table canvas'), edge = canvas.getBoundingClientRect();
      return [...canvas.getContext('2d').getImageData(x - edge.left, y - edge.top, 1, 1).data];
    }"""
    return tuple(page.evaluate(script, [x, y]))[:3]


def _stop(name: str, place: int, theme: int = 0) -> tuple[int, ...]:
    """A stop of a ramp as the style sheet has it; theme 0 is light, 1 dark."""
    stops = re.findall(rf"--lens-ramp-{name}: ([^;]+);", LensTable._css)[theme].split(", ")
    return tuple(bytes.fromhex(stops[place].lstrip("#")))


def test_the_table_shows_the_numbers_it_was_given(page: Page) -> None:
    reading = Reading()
    view = _table(page, reading, cast="mat", metric="kl")
    for source, row in [(0, 0), (3, 3), ("model", 4)]:
        cell = _cell(page, source, 5)
        assert cell["token"] == reading.word(1, row, 5)
        assert cell["probability"] == float(reading.probabilities[1, row, 5, 0])
        assert cell["score"] == float(reading.scores[3, 1, row, 5])
    view.receive(cast="difference")
    page.wait_for_selector("[data-cast=difference]")
    assert _cell(page, 2, 5)["score"] == pytest.approx(float(reading.scores[3, 1, 2, 5] - reading.scores[3, 0, 2, 5]))
    assert _cell(page, 2, 5)["token"] == reading.word(1, 2, 5)


def test_colour_follows_the_metric(page: Page) -> None:
    reading = Reading()
    reading.scores[:, :, 0, 0], reading.scores[:, :, 0, 1] = 0, 8  # 0 and 8 are the ends of every scale but the first
    reading.scores[0, :, 0, 1] = 1
    view = _table(page, reading, cast="id")
    assert (_pixel(page, 0, 0), _pixel(page, 0, 1)) == (_stop("id", 0), _stop("id", -1))
    view.receive(metric="entropy", cast="mat")  # here low is better, and better is stronger
    page.wait_for_selector("[data-metric=entropy]")
    assert (_pixel(page, 0, 0), _pixel(page, 0, 1)) == (_stop("mat", -1), _stop("mat", 0))


def test_difference_is_orange_for_id_and_blue_for_mat(page: Page) -> None:
    reading = Reading()
    reading.scores[3] = 1  # equal …
    reading.scores[3, :, 2, 0] = [5, 0]  # … but here mat's KL is lower by 5, the most,
    reading.scores[3, :, 2, 1] = [0, 5]  # and there id's
    _table(page, reading, cast="difference", metric="kl")
    assert _pixel(page, 2, 0) == _stop("mat", -1)
    assert _pixel(page, 2, 1) == _stop("id", -1)
    legend = page.locator(".lens-legend").inner_text()
    assert "id better by 5" in legend
    assert "mat better by 5" in legend


def test_switching_happens_in_the_browser_and_changes_the_picture(page: Page) -> None:
    view = _table(page, cast="id")
    pictures = [_picture(page)]
    for name, attribute in [
        ("Rank", "[data-metric=rank]"),
        ("mat", "[data-cast=mat]"),
        ("difference", "[data-cast=difference]"),
    ]:
        page.get_by_role("radio", name=name, exact=True).click()
        page.wait_for_selector(attribute)
        pictures.append(_picture(page))
    assert len(set(pictures)) == 4
    assert (view.get("cast"), view.get("metric"), view.messages) == ("difference", "rank", [])
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("[data-cast=mat]")


def test_only_casts_that_are_there_are_offered(page: Page) -> None:
    reading = Reading()
    reading.spec["casts"] = ["id"]
    reading.top, reading.probabilities, reading.scores = (
        reading.top[:1],
        reading.probabilities[:1],
        reading.scores[:, :1],
    )
    _table(page, reading, cast="mat")
    assert page.get_by_role("radiogroup", name="Cast").get_by_role("radio").all_inner_texts() == ["id"]
    assert _cell(page, 0, 0)["token"] == reading.word(0, 0, 0)


def test_a_click_sets_source_and_position(page: Page) -> None:
    view = _table(page)
    page.mouse.click(*_point(page, 3, 5))
    page.mouse.click(*_point(page, "model", 4))
    assert view.messages == [
        {"kind": "pick", "source": 3, "position": 5},
        {"kind": "pick", "source": 3, "position": 4},
    ]
    assert (view.get("source"), view.get("position")) == (3, 4)
    assert [(save["source"], save["position"]) for save in view.saves] == [(3, 5), (3, 4)]


def test_columns_may_be_some_of_the_positions(page: Page) -> None:
    reading = Reading(columns=2)
    reading.spec["positions"] = [4, 9]
    view = _table(page, reading, position=9, cast="mat")
    assert _cell(page, 1, 9)["token"] == reading.word(1, 1, 1)
    page.mouse.click(*_point(page, 1, 4))
    assert view.messages == [{"kind": "pick", "source": 1, "position": 4}]


def test_the_tooltip_tells_the_top_k_and_every_metric(page: Page) -> None:
    reading = Reading()
    _table(page, reading, cast="mat", metric="kl")
    page.mouse.move(*_point(page, 2, 3))
    tip = page.locator(".lens-tooltip")
    expect(tip.locator(".lens-tip-head")).to_have_text("layer 2 at ␣sat · position 3")
    assert tip.locator(".lens-tip-label").all_inner_texts() == [reading.word(1, 2, 3, i) for i in range(3)]
    share = re.sub(r"\s", " ", tip.locator(".lens-tip-share").first.inner_text())
    assert share == f"{100 * reading.probabilities[1, 2, 3, 0]:.1f} %"
    assert tip.locator(".lens-tip-metric").all_inner_texts() == [name.capitalize() for name in METRICS]
    expect(tip.locator(".lens-tip-on")).to_contain_text(f"{reading.scores[3, 1, 2, 3]:.2f}")
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()


def test_in_difference_the_tooltip_sets_both_casts_side_by_side(page: Page) -> None:
    reading = Reading()
    _table(page, reading, cast="difference")
    page.mouse.move(*_point(page, 1, 1))
    lists = page.locator(".lens-tip-list")
    assert lists.evaluate_all("(nodes) => nodes.map((node) => node.dataset.column)") == ["id", "mat"]
    firsts = [lists.nth(cast).locator(".lens-tip-label").first.inner_text() for cast in (0, 1)]
    assert firsts == [reading.word(0, 1, 1), reading.word(1, 1, 1)]


def test_the_keyboard_walks_the_table_and_says_where_it_is(page: Page) -> None:
    reading = Reading()
    view = _table(page, reading, cast="mat", source=1, position=2)
    page.keyboard.press("Tab")  # the casts
    page.keyboard.press("Tab")  # the metrics
    page.keyboard.press("Tab")  # the menu that saves it
    page.keyboard.press("Tab")
    words = page.locator(".lens-table [aria-live]")
    expect(words).to_contain_text(f"layer 1, position 2, ␣man. mat: {reading.word(1, 1, 2)}")
    for key in ["ArrowUp", "ArrowRight", "End", "ArrowRight"]:
        page.keyboard.press(key)
    expect(words).to_contain_text("layer 2, position 6")
    expect(page.locator(".lens-tooltip")).to_be_visible()
    page.keyboard.press("Enter")
    assert view.messages == [{"kind": "pick", "source": 2, "position": 6}]
    page.keyboard.press("PageUp")
    expect(words).to_contain_text("model, position 6")
    page.keyboard.press("Escape")
    expect(page.locator(".lens-tooltip")).to_be_hidden()


def test_an_absent_cell_is_empty_and_says_so(page: Page) -> None:
    reading = Reading()
    reading.top[1, 0, 0], reading.probabilities[1, 0, 0], reading.scores[:, 1, 0, 0] = -1, np.nan, np.nan
    _table(page, reading, cast="mat")
    assert _cell(page, 0, 0)["token"] is None
    page.mouse.move(*_point(page, 0, 0))
    expect(page.locator(".lens-tip-list")).to_contain_text("not there")


def test_many_columns_scroll_inside_and_the_chosen_one_is_seen(page: Page) -> None:
    reading = Reading(columns=256)
    view = _table(page, reading, position=200, cast="mat")
    canvas = page.locator(".lens-table canvas")
    assert canvas.evaluate("(node) => node.width") <= 1100
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100
    box = _cell(page, 0, 200)["box"]
    assert 0 < box["x"] < 1100 - box["width"]
    view.receive(position=0)
    page.wait_for_function("document.querySelector('.lens-table-scroll').scrollLeft === 0")
    page.mouse.click(*_point(page, 2, 1))
    assert view.messages == [{"kind": "pick", "source": 2, "position": 1}]


def test_numbers_that_do_not_fit_their_spec_leave_the_picture(page: Page) -> None:
    reading = Reading()
    view = _table(page, reading, cast="mat")
    before = _picture(page)
    view.receive(top=b"\0\0\0\0")
    let_draw(page)
    assert _picture(page) == before
    assert _cell(page, 3, 3)["token"] == reading.word(1, 3, 3)


# ---------------------------------------------------------------- Notice


def test_a_notice_speaks_and_its_button_answers(page: Page) -> None:
    view = View(page, Notice())

    def height() -> float:
        return view.root.evaluate("(node) => node.getBoundingClientRect().height")

    assert height() == 0
    action = {"id": "retry", "label": "Try again"}
    view.receive(kind="error", text="No such model.", detail="Give a folder.", action=action)
    expect(page.get_by_role("alert")).to_contain_text("No such model.")
    page.get_by_role("button", name="Try again").click()
    assert view.messages == [{"kind": "action", "id": "retry"}]
    view.receive(kind="info", text="256 of 2,431 tokens are used.", detail="", action=None)
    expect(page.get_by_role("status")).to_contain_text("256 of 2,431")
    expect(page.get_by_role("button")).to_be_hidden()
    said = height()
    view.receive(kind="none", reserve=True)
    expect(page.get_by_role("status")).to_have_text("")
    assert height() == said


# ---------------------------------------------------------------- what all share


def _everything() -> list[Live]:
    notice = Notice()
    notice.error("Wrong.")
    return [
        Sentence(value="The old man"),
        _chips(TOKENS),
        TopK(columns=[_column("id", [0.1])]),
        Reading().widget(),
        notice,
    ]


def test_markup_in_data_is_only_text(page: Page) -> None:
    reading = Reading(labels=[MARKUP, MARKUP + "2"])
    reading.spec |= {"title": MARKUP, "note": MARKUP, "columns": [{"label": MARKUP}] * 7}
    row = {"label": MARKUP, "probability": 0.5, "token_id": 1, "agrees": True}
    fact = {"name": MARKUP, "value": MARKUP, "title": MARKUP}
    column = {"key": "id", "title": MARKUP, "subtitle": MARKUP, "rows": [row], "facts": [fact]}
    refused = {"key": MARKUP, "title": MARKUP, "subtitle": "", "rows": [], "message": MARKUP}
    notice = Notice()
    notice.error(MARKUP, MARKUP, {"id": MARKUP, "label": MARKUP})
    View(page, Sentence(value=MARKUP, note=MARKUP, placeholder=MARKUP))
    View(page, Chips(tokens=[{"label": MARKUP, "title": MARKUP}], position=0, hint=MARKUP))
    View(page, TopK(columns=[column, {**refused, "action": {"id": "x", "label": MARKUP}}]))
    View(page, notice)
    _table(page, reading)
    page.mouse.move(*_point(page, 1, 1))
    expect(page.locator(".lens-tooltip")).to_be_visible()
    assert page.locator("img, main script, .lens-tooltip script").count() == 0
    assert page.evaluate("window.hit") is None
    assert page.get_by_role("option").inner_text() == MARKUP
    assert page.locator(".lens-row-label").inner_text() == MARKUP
    assert page.locator(".lens-tip-label").first.inner_text() in (MARKUP, MARKUP + "2")


def _listeners(page: Page) -> int:
    """Listeners on what outlives a view, counted by the browser itself; Playwright's own are left out."""
    session = page.context.new_cdp_session(page)
    found = []
    for target in ("window", "document", "document.documentElement", "document.body"):
        handle = session.send("Runtime.evaluate", {"expression": target})["result"]["objectId"]
        found += session.send("DOMDebugger.getEventListeners", {"objectId": handle})["listeners"]
    session.detach()
    foreign = {listener["scriptId"] for listener in found if "playwright" in listener["type"]}
    return sum(listener["scriptId"] not in foreign for listener in found)


# Playwright has an observer of its own, which says where it comes from.
COUNT_OBSERVERS = """() => {
  window.watching = new Set();
  for (const Kind of [ResizeObserver, MutationObserver]) {
    const { observe, disconnect } = Kind.prototype;
    Kind.prototype.observe = function (...all) {
      if (!new Error().stack.includes("InjectedScript")) watching.add(this);
      return observe.apply(this, all);
    };
    Kind.prototype.disconnect = function () { watching.delete(this); return disconnect.call(this); };
  }
}"""


def test_a_view_that_goes_leaves_nothing_behind(page: Page) -> None:
    page.evaluate(COUNT_OBSERVERS)
    before = _listeners(page)
    views = [View(page, widget) for widget in _everything()]
    page.wait_for_selector(".lens-table[data-cast]")
    page.mouse.move(*_point(page, 1, 1))
    expect(page.locator(".lens-tooltip")).to_be_visible()
    page.locator("textarea").press_sequentially("x")  # something waits to be sent
    assert _listeners(page) > before
    assert page.evaluate("watching.size") > 0
    for view in views:
        view.end()
    assert _listeners(page) == before
    assert page.evaluate("watching.size") == 0
    assert page.evaluate("views.map((view) => view.model.handlers.length)") == [0] * len(views)
    assert page.locator(".lens-live").count() == 0


def test_two_views_of_one_model_move_together(page: Page) -> None:
    first = View(page, _chips(TOKENS, position=0))
    View(page, _chips(TOKENS), shared=first.number)
    page.locator(".lens-chips").nth(1).get_by_role("option").nth(3).click()
    expect(page.locator(".lens-chips").nth(0).get_by_role("option", selected=True)).to_have_text("␣sat")


def _ground(page: Page) -> str:
    return page.locator("main > .lens-live").first.evaluate("(node) => getComputedStyle(node).backgroundColor")


def test_the_theme_follows_jupyter_while_it_changes(page: Page) -> None:
    page.evaluate("document.body.style.setProperty('--jp-layout-color0', 'white')")
    reading = Reading()
    reading.scores[0, 0, 0, 0] = 1
    _table(page, reading)
    assert (_ground(page), _pixel(page, 0, 0)) == ("rgb(255, 255, 255)", _stop("id", -1))
    page.evaluate("document.body.style.setProperty('--jp-layout-color0', '#111111')")
    page.wait_for_selector("[data-lens-theme=dark]")
    assert _ground(page) == "rgb(17, 17, 17)"
    let_draw(page)
    assert _pixel(page, 0, 0) == _stop("id", -1, theme=1)


def test_alone_the_theme_follows_the_system(page: Page) -> None:
    View(page, Sentence())
    page.wait_for_selector("[data-lens-theme=light]")
    light = _ground(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("[data-lens-theme=dark]")
    assert _ground(page) != light


def test_work_dims_the_picture_after_a_moment_and_keeps_it(page: Page) -> None:
    view = _table(page)
    before = _picture(page)
    view.receive(busy=True)
    page.wait_for_selector(".lens-table[aria-busy=true]")
    scroll = page.locator(".lens-table-scroll")
    assert scroll.evaluate("(node) => getComputedStyle(node).transitionDelay") == "0.15s"
    page.wait_for_function("getComputedStyle(document.querySelector('.lens-table-scroll')).opacity === '0.6'")
    assert _picture(page) == before
    view.receive(busy=False)
    page.wait_for_function("getComputedStyle(document.querySelector('.lens-table-scroll')).opacity === '1'")


def test_nothing_moves_for_those_who_ask_for_that(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    View(page, TopK(columns=[_column("id", [0.1])]))
    durations = page.evaluate(
        "[...document.querySelectorAll('.lens-live *')].map((node) => getComputedStyle(node).transitionDuration)"
    )
    assert set(durations) == {"0s"}


def test_single_keys_are_kept_from_jupyter(page: Page) -> None:
    """JupyterLab takes "b" or "x" on a focused node as a command, unless that very node forbids it."""
    for widget in _everything():
        View(page, widget)
    page.wait_for_selector(".lens-table[data-cast]")
    free = page.locator("main :is(button, [tabindex]):not([data-lm-suppress-shortcuts])")
    assert free.count() == 0


# ---------------------------------------------------------------- a press while an answer comes


def _press(page: Page, target: Locator) -> None:
    """Press the middle of it, and keep the button down."""
    box = box_of(target)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()


def _release(page: Page) -> None:
    let_draw(page)
    let_draw(page)
    page.mouse.up()


def _line(*values: float) -> dict[str, Any]:
    return {
        "title": "A line",
        "x": {"label": "layer", "values": list(range(len(values)))},
        "y": {"label": "share", "low": 0, "high": 1, "format": "number"},
        "lines": [{"key": "id", "title": "id", "values": list(values), "errors": []}],
        "marker": None,
    }


def test_a_press_on_a_point_of_a_chart_is_not_lost(page: Page) -> None:
    view = View(page, Chart(spec=_line(0.2, 0.5, 0.8)))
    _press(page, page.locator(".lens-chart-svg .lens-chart-dot").nth(1))
    view.receive(spec=_line(0.3, 0.5, 0.9))
    _release(page)
    assert view.messages == [{"kind": "pick", "x": 1}]


def test_a_press_on_the_words_of_a_leaving_token_is_not_lost(page: Page) -> None:
    token = {"label": "fire", "layer": 3, "confidence": 0.5, "threshold": 0.2, "prediction": "and", "model": "and"}
    spec = {"tokens": [token | {"agrees": True}], "layers": 4, "note": "one"}
    view = View(page, Exits(spec=spec))
    _press(page, page.locator(".lens-exit-token bdi"))
    view.receive(spec=spec | {"note": "two"})
    _release(page)
    assert view.messages == [{"kind": "pick", "position": 0}]


def test_a_press_on_a_step_of_a_lesson_is_not_lost_and_never_another(page: Page) -> None:
    steps = [{"title": f"Step {n}", "prose": [], "questions": []} for n in (1, 2, 3)]
    lessons = [{"number": n, "title": f"Lesson {n}"} for n in (1, 2)]
    view = View(page, Guide(lessons=lessons, lesson=1, steps=steps, step=1))
    _press(page, page.get_by_role("button", name="Step 3"))
    view.receive(step=2)
    _release(page)
    assert view.messages == [{"kind": "go", "lesson": 1, "step": 3}]
    _press(page, page.get_by_role("button", name="Step 2"))
    view.receive(lesson=0, steps=[])  # the list of lessons takes its place
    _release(page)
    assert len(view.messages) == 1
