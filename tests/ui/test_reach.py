"""Within reach for everyone: no serious finding of axe-core in any panel, and everything by the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from lens.panels import panels

GRAVE = {"serious", "critical"}
UNMADE = ".lens-tabs > .widget-tab-contents > .widget-vbox:empty:visible"  # a panel that is still to come
STOPPING = "button, input, select, textarea, summary, a[href], [tabindex], [contenteditable]"
STOPS = """(selector) => [...document.querySelectorAll(selector)]
    .filter((node) => node.tabIndex >= 0 && !node.disabled && node.checkVisibility({ visibilityProperty: true }))
    .filter((node) => node.type !== "radio" || node.checked)
    .map((node, i) => (node.dataset.stop = String(i)))"""
MISSED = "all => all.map((stop) => document.querySelector(`[data-stop='${stop}']`)?.outerHTML.slice(0, 300))"
AFRESH = "() => document.querySelectorAll('[data-stop]').forEach((node) => delete node.dataset.stop)"
HERE = """() => {
    const node = document.activeElement;
    const near = [node, node.parentElement, node.closest(".noUi-origin, .lens-live > *")].filter(Boolean);
    const ring = (style) => style.outlineStyle !== "none" || style.boxShadow !== "none";
    const ringed = node === document.body || near.map((each) => getComputedStyle(each)).some(ring);
    return [node.dataset.stop ?? "", ringed, node.outerHTML.slice(0, 200)];
}"""

PICTURES = "[role=img], [role=figure], [role=application], canvas"
NAMELESS = """nodes => nodes.filter((node) => !node.closest("[aria-hidden=true], [aria-label], [aria-labelledby]"))
    .map((node) => node.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def page(browser: Any, voila_address: str) -> Any:
    """One visit, with every panel made."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(voila_address, wait_until="commit")
    expect(page.locator("[data-column=model] [data-token-id]").first).to_be_visible()
    yield page
    context.close()


def opened(page: Page, key: str) -> None:
    page.get_by_role("tab", name=panels()[key].title, exact=True).click()
    expect(page.locator(UNMADE)).to_have_count(0)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)
    expect(page.locator(".lens [aria-busy=true]:visible")).to_have_count(0)


@pytest.mark.parametrize("key", list(panels()))
def test_axe_finds_nothing_serious(page: Page, key: str) -> None:
    opened(page, key)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = Axe().run(page).response["violations"]
        grave = [
            f"{scheme}: {each['id']}: {node['html'][:200]}"
            for each in found
            if each["impact"] in GRAVE
            for node in each["nodes"]
        ]
        assert grave == []
    page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("key", ["jump", "lens_table", "early_exit", "assembly_line"])
def test_the_keyboard_alone_reaches_everything(page: Page, key: str) -> None:
    opened(page, key)
    page.evaluate(AFRESH)
    stops = set(page.evaluate(STOPS, STOPPING))
    page.locator("body").evaluate("body => { document.activeElement.blur(); getSelection().removeAllRanges(); }")
    visited, unseen = set(), []
    for _ in range(3 * len(stops)):  # around the page, from wherever it begins
        if stops <= visited:
            break
        page.keyboard.press("Tab")
        stop, ringed, html = page.evaluate(HERE)
        visited.add(stop)
        if not ringed:
            unseen.append(html)
    missed = page.evaluate(MISSED, list(stops - visited))
    assert missed == []
    assert unseen == []


def test_every_picture_says_in_words_what_it_shows(page: Page) -> None:
    for key in panels():
        opened(page, key)
        assert page.locator(f".lens-live :is({PICTURES}):visible").evaluate_all(NAMELESS) == []
