"""Within reach for everyone: no serious finding of axe-core in what opens over the workbench, or is saved of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lens.engine import InlineEngine
from lens.panels import Explore
from lens.panels._lesson import lessons
from lens.panels._session import Session
from tests.ui._saving import open_file

GRAVE = {"serious", "critical"}


def findings(page: Page, within: str, impacts: Collection[str] = GRAVE) -> list[str]:
    """What axe-core finds of such weight, in light and in dark."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_selector(f"[data-lens-theme={scheme}]")
        said = Axe().run(page, within).response["violations"]
        told = [each for each in said if each["impact"] in impacts]
        found += [f"{scheme}: {each['id']}: {node['html'][:200]}" for each in told for node in each["nodes"]]
    return found


@pytest.fixture(scope="module")
def workbench(browser: Browser, voila_address: str) -> Iterator[Page]:
    """One visit for all that opens."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(voila_address, wait_until="commit")
    expect(page.locator("[data-column=model] [data-token-id]").first).to_be_visible()
    yield page
    context.close()


def test_the_menu_of_a_picture(workbench: Page) -> None:
    bars = workbench.locator(".lens-topk")
    bars.get_by_role("button", name="Save this figure").click()
    expect(bars.get_by_role("menuitem", name="CSV")).to_be_visible()
    assert findings(workbench, ".lens-topk") == []
    workbench.keyboard.press("Escape")


def test_the_card_of_what_can_be_shared(workbench: Page) -> None:
    workbench.get_by_role("button", name="Share", exact=True).click()
    expect(workbench.get_by_role("textbox", name="Python")).to_be_visible()
    assert findings(workbench, ".lens-share") == []
    workbench.keyboard.press("Escape")


def test_the_rail_of_lessons(workbench: Page) -> None:
    workbench.get_by_role("button", name="Lessons", exact=True).click()
    rail = workbench.get_by_role("complementary", name="Lessons")
    expect(rail.get_by_role("button", name=lessons()[2].title)).to_be_visible()
    assert findings(workbench, ".lens-guide") == []
    rail.get_by_role("button", name=lessons()[2].title).click()
    expect(rail.get_by_role("link").first).to_be_visible()
    rail.locator("summary").first.click()
    assert findings(workbench, ".lens-guide") == []


def test_a_saved_page(browser: Browser, tmp_path: Path) -> None:
    bench = Explore(Session(panel="assembly_line", plan="0-3 [4-7]x2 9-11"), InlineEngine())
    page = open_file(browser, bench.save(tmp_path), [])
    page.locator("summary").click()
    expect(page.locator(".lens-strip").get_by_title("block 8 does not run")).to_be_visible()
    assert findings(page, "body", GRAVE | {"moderate"}) == []  # a page of its own, without Jupyter's parts
    page.context.close()
    bench.close()
