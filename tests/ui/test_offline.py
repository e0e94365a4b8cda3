"""A saved page in a browser without a network: what it shows is what `lens.read` says, wherever one looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import lens
from lens.engine import InlineEngine
from lens.panels import Explore
from lens.panels._session import Session
from tests.ui.conftest import OpenPage
from tests.ui.test_explore import SHORT, bars, patient, said, settled

TEXT = "She saw </script><b> at the"
Heard = list[str]


@pytest.fixture(scope="module")
def bench() -> Iterator[Explore]:
    bench = Explore(Session(text=TEXT), InlineEngine())
    yield bench
    bench.close()


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What a page asks for and complains of."""
    heard: Heard = []
    yield heard
    assert [each for each in heard if not each.startswith("file:")] == []
    assert len(heard) == 1


@pytest.fixture
def page(bench: Explore, browser: Browser, tmp_path: Path, heard: Heard) -> Iterator[Page]:
    """The page, opened from a file with the network off."""
    with_no_network = browser.new_context(
        offline=True, viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    page = with_no_network.new_page()
    open_file(page, bench.save(tmp_path), heard)
    yield page
    assert page.evaluate("window.hit") is None
    with_no_network.close()


def open_file(page: Page, file: Path, heard: Heard) -> None:
    page.on("request", lambda request: heard.append(request.url))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text))
    page.goto(file.as_uri())
    page.wait_for_selector(".lens-table[data-cast]")


def cell(page: Page, source: int | str, position: int) -> dict[str, Any]:
    found: dict[str, Any] = page.locator(".lens-table").evaluate(
        "(root, at) => root.lensCell(...at)", [source, position]
    )
    return found


def shows(page: Page, source: int, position: int) -> None:
    """The bars are those that `lens.read` says."""
    expected = said("demo", TEXT, source, 12, position)
    patient(page, lambda: all(bars(page, name) == pytest.approx(rows, abs=SHORT) for name, rows in expected.items()))
    assert {name: bars(page, name) for name in expected} == {
        name: pytest.approx(rows, abs=SHORT) for name, rows in expected.items()
    }


def test_casts_are_switched_and_cells_answer_the_pointer(page: Page) -> None:
    reading = lens.read(lens.load("demo"), TEXT)
    table = page.locator(".lens-table")
    table.scroll_into_view_if_needed()
    for c, cast in enumerate(reading.casts):
        table.get_by_role("radio", name=cast, exact=True).click()
        page.wait_for_selector(f".lens-table[data-cast={cast}]")
        for source, position in [(0, 0), (7, 3), (12, 5)]:
            found = cell(page, source, position)
            assert found["token"] == reading.labels[int(reading.token_ids[c, source, position, 0])]
            assert found["probability"] == float(reading.probabilities[c, source, position, 0])
        box = cell(page, 7, 3)["box"]
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tip = page.locator(".lens-tooltip")
        expect(tip).to_be_visible()
        expect(tip.locator(".lens-tip-cast")).to_have_text(cast)
        labels = [reading.labels[token] for token in reading.token_ids[c, 7, 3].tolist()]
        assert tip.locator(".lens-tip-label").all_text_contents() == labels[:10]
        assert f"{reading.kl[c, 7, 3]:.2f}" in tip.inner_text()


def test_bars_and_lines_follow_layer_token_and_measure(page: Page) -> None:
    shows(page, 4, len(lens.load("demo").encode(TEXT)) - 1)
    slider = page.get_by_role("slider", name="Source layer")
    slider.focus()
    slider.press("ArrowRight")
    page.locator(".lens-chips [data-position='2']").click()
    shows(page, 5, 2)
    page.locator(".lens-table").scroll_into_view_if_needed()
    box = cell(page, 9, 3)["box"]
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shows(page, 9, 3)
    expect(page.locator("#lens-source-said")).to_have_text("9")
    page.get_by_role("radio", name="KL").click()
    reading = lens.read(lens.load("demo"), TEXT)
    expect(page.locator(".lens-chart .lens-readout")).to_contain_text(f"id {reading.kl[0, 9, 3]:.2f}")
    expect(page.locator(".lens-chart .lens-readout")).to_contain_text(f"mat {reading.kl[1, 9, 3]:.2f}")


def test_it_is_read_with_the_keyboard_alone(page: Page) -> None:
    page.locator(".lens-table-scroll").focus()
    page.keyboard.press("Home")
    expect(page.locator(".lens-tooltip")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".lens-chips [aria-selected=true]")).to_have_attribute("data-position", "0")


def test_without_scripts_the_tables_in_words_are_there(bench: Explore, browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(bench.save(tmp_path).as_uri())
    page.locator("summary").click()
    expect(page.locator("table").first).to_contain_text(lens.read(lens.load("demo"), TEXT).tokens[3])
    expect(page.locator("h1")).to_have_text(TEXT)
    context.close()


def test_what_the_app_saves_is_what_it_shows(
    voila_page: OpenPage, browser: Browser, tmp_path: Path, heard: Heard
) -> None:
    page = voila_page()
    settled(page)
    live = {name: bars(page, name) for name in ("id", "mat", "model")}
    saved = {kind: picture(page, kind, tmp_path) for kind in ("SVG", "PNG", "HTML", "CSV")}
    ends = (file.name.removeprefix("lens-jump-demo-predictions-id-mat-model.") for file in saved.values())
    assert list(ends) == ["svg", "png", "html", "csv"]
    frame = pd.read_csv(saved["CSV"], keep_default_na=False)
    for name, rows in live.items():
        mine = frame[frame.column == name]
        assert dict(zip(mine.token_id, mine.probability, strict=True)) == pytest.approx(rows, abs=SHORT)
    ElementTree.parse(saved["SVG"])  # noqa: S314 - our own

    page.get_by_role("button", name="Share").click()
    file = downloaded(page, page.get_by_role("button", name="Save page"), tmp_path)
    assert file.name == "lens-jump-demo.html"
    context = browser.new_context(offline=True)
    alone = context.new_page()
    open_file(alone, file, heard)
    assert {name: bars(alone, name) for name in live} == {
        name: pytest.approx(rows, abs=SHORT) for name, rows in live.items()
    }
    context.close()
    assert page.failures == []  # type: ignore[attr-defined]


def picture(page: Page, kind: str, folder: Path) -> Path:
    """The bars of the page, as the menu saves them."""
    page.locator(".lens-topk").get_by_role("button", name="Save this figure").click()
    return downloaded(page, page.locator(".lens-topk").get_by_role("menuitem", name=kind), folder)


def downloaded(page: Page, button: Locator, folder: Path) -> Path:
    with page.expect_download() as coming:
        button.click()
    file = folder / coming.value.suggested_filename
    coming.value.save_as(file)
    return file
