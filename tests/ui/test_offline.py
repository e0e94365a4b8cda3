"""A saved page in a browser without a network: what it shows is what `lens.read` says, wherever one looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

import lens
from lens.engine import InlineEngine
from lens.panels import Explore
from lens.panels._session import Session
from tests.ui._saving import Heard, open_file
from tests.ui.test_explore import SHORT, bars, patient, said

TEXT = "She saw </script><b> at the"


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


@pytest.fixture(scope="module")
def file(bench: Explore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as it was saved."""
    return bench.save(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def page(file: Path, browser: Browser, heard: Heard) -> Iterator[Page]:
    """The page, opened from its file with the network off."""
    page = open_file(browser, file, heard)
    yield page
    assert page.evaluate("window.hit") is None
    page.context.close()


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


def test_without_scripts_the_tables_in_words_are_there(file: Path, browser: Browser) -> None:
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator("summary").click()
    expect(page.locator("table").first).to_contain_text(lens.read(lens.load("demo"), TEXT).tokens[3])
    expect(page.locator("h1")).to_have_text(TEXT)
    context.close()
