"""The whole way through, as a person would: in Voilà and in JupyterLab, what is on screen is what `lens.read` says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

import lens
from tests.ui._saving import Heard, downloaded, figure, open_file
from tests.ui.conftest import OpenPage

SHORT = 2e-6  # the browser gets a float32 as a decimal


@pytest.fixture(params=["voila", "lab"])
def page(request: pytest.FixtureRequest) -> Page:
    opened: OpenPage = request.getfixturevalue(f"{request.param}_page")
    page = opened()
    settled(page)
    return page


def settled(page: Page) -> None:
    """Wait until nothing is under way and the first column has its bars."""
    expect(page.locator("[data-column=model] [data-token-id]").first).to_be_visible()
    expect(page.locator(".lens-topk[aria-busy=true]")).to_have_count(0)


def bars(page: Page, column: str) -> dict[int, float]:
    """Token ids and probabilities as they stand in the page."""
    rows: list[list[str]] = page.locator(f".lens-topk:visible [data-column={column}] [data-token-id]").evaluate_all(
        "rows => rows.map(row => [row.dataset.tokenId, row.dataset.probability])"
    )
    return {int(token): float(probability) for token, probability in rows}


def said(model: str, text: str, source: int, target: int, position: int, k: int = 8) -> dict[str, dict[int, float]]:
    """What `lens.read` says the three columns hold."""
    reading = lens.read(lens.load(model), text, target=target, k=k)
    found = {
        cast: dict(zip(reading.token_ids[at].tolist(), reading.probabilities[at].tolist(), strict=True))
        for cast, at in ((cast, (place, source, position)) for place, cast in enumerate(reading.casts))
    }
    own = zip(reading.model_token_ids[position].tolist(), reading.model_probabilities[position].tolist(), strict=True)
    return found | {"model": dict(own)}


def shows(page: Page, expected: dict[str, dict[int, float]]) -> None:
    """Wait until the page shows these columns; fail with both if it does not."""

    def same() -> bool:
        return all(bars(page, name) == pytest.approx(rows, abs=SHORT) for name, rows in expected.items())

    patient(page, same)
    for name, rows in expected.items():
        assert bars(page, name) == pytest.approx(rows, abs=SHORT)


def patient(page: Page, holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        page.wait_for_timeout(100)


def slide(page: Page, name: str, keys: str, times: int = 1) -> None:
    handle = page.locator(".widget-slider", has_text=name).locator(".noUi-handle")
    handle.focus()
    for _ in range(times):
        handle.press(keys)


def choose_model(page: Page, name: str) -> None:
    box = page.get_by_label("Model", exact=True).or_(page.get_by_placeholder("demo, a folder")).first
    box.fill(name)
    box.press("Enter")
    box.blur()


def test_the_whole_way_through(page: Page, browser: Browser, tmp_path: Path) -> None:
    shows(page, said("demo", "The old man sat by the fire and looked at the", 4, 12, -1))

    text = "She opened the door and saw the"
    page.get_by_role("textbox", name="Sentence").fill(text)
    shows(page, said("demo", text, 4, 12, -1))

    slide(page, "Source", "ArrowLeft", 2)
    slide(page, "Target", "ArrowLeft", 3)
    shows(page, said("demo", text, 2, 9, -1))

    page.locator(".lens-chips [data-position='2']").click()
    shows(page, said("demo", text, 2, 9, 2))

    choose_model(page, "demo-bert")
    expect(page.locator(".lens-notice:visible")).to_contain_text("click a word to mask it")
    page.locator(".lens-chips [data-label*='door']").first.click()
    masked = "She opened the [MASK] and saw the"
    expect(page.get_by_role("textbox", name="Sentence")).to_have_value(masked)
    model = lens.load("demo-bert")
    position = model.encode(masked).masks[0]
    found = said("demo-bert", masked, 2, 9, position)
    shows(page, found)
    saves(page, found, browser, tmp_path)

    asked = {urlsplit(a).hostname for a in page.asked if not a.startswith(("data:", "blob:"))}  # type: ignore[attr-defined]
    assert asked == {"127.0.0.1"}
    assert page.failures == []  # type: ignore[attr-defined]


def saves(page: Page, expected: dict[str, dict[int, float]], browser: Browser, folder: Path) -> None:
    """The bars can be taken along in every form, and the view as a page: all say what is on screen."""
    topk = page.locator(".lens-topk")
    saved = {kind: figure(page, topk, kind, folder) for kind in ("SVG", "PNG", "HTML", "CSV")}
    stem = "lens-jump-demo-bert-predictions-id-mat-model"
    assert [file.name for file in saved.values()] == [f"{stem}.{kind}" for kind in ("svg", "png", "html", "csv")]
    frame = pd.read_csv(saved["CSV"], keep_default_na=False)
    for name, rows in expected.items():
        mine = frame[frame.column == name]
        assert dict(zip(mine.token_id, mine.probability, strict=True)) == pytest.approx(rows, abs=SHORT)
    ElementTree.parse(saved["SVG"])  # noqa: S314 - our own

    page.get_by_role("button", name="Share", exact=True).click()
    file = downloaded(page, page.get_by_role("button", name="Save page"), folder)
    assert file.name == "lens-jump-demo-bert.html"
    heard: Heard = []
    alone = open_file(browser, file, heard)
    shows(alone, expected)
    assert heard == [file.as_uri()]
    alone.context.close()


def test_the_table_is_a_way_to_choose(voila_page: OpenPage) -> None:
    page = voila_page()
    settled(page)
    text = "The old man sat by the fire and looked at the"
    page.get_by_role("tab", name="Lens table", exact=True).click()
    expect(page.locator(".lens-table[data-cast=mat][aria-busy=false]")).to_be_visible()  # drawn, and not to change
    page.locator(".lens-table canvas").scroll_into_view_if_needed()
    cell: dict[str, Any] = page.locator(".lens-table").evaluate("root => root.lensCell(7, 3)")
    reading = lens.read(lens.load("demo"), text)
    assert cell["token"] == reading.labels[int(reading.token_ids[1, 7, 3, 0])]
    assert cell["probability"] == pytest.approx(float(reading.probabilities[1, 7, 3, 0]), abs=SHORT)
    box = cell["box"]
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("tab", name="Jump", exact=True).click()
    shows(page, said("demo", text, 7, 12, 3))


def test_bad_input_is_said_and_nothing_lost(voila_page: OpenPage) -> None:
    page = voila_page()
    settled(page)
    sentence, notice = page.get_by_role("textbox", name="Sentence"), page.locator(".lens-notice:visible")
    before = bars(page, "mat")

    sentence.fill("")
    expect(notice).to_contain_text("There is no text yet")
    assert bars(page, "mat") == before

    sentence.fill("<script>document.title = 'broken'</script> 🙂 مرحبا")
    expect(notice).to_be_hidden()
    settled(page)
    assert page.title() != "broken"

    sentence.fill("word " * 2000)
    expect(page.locator(".lens-sentence [data-testid=note]")).to_contain_text("reads the first 256 of")

    choose_model(page, "no-such-model")
    expect(notice).to_contain_text("no-such-model")
    expect(sentence).to_have_value("word " * 2000)
    choose_model(page, "demo")
    expect(notice).to_be_hidden()
    settled(page)
    assert "Traceback" not in page.inner_text("body")
