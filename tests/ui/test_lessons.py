"""A lesson in a real browser: the rail opens, goes step by step, reveals answers, and closes; keys do as well."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from lens.panels import panels
from lens.panels._lesson import lessons
from tests.ui.conftest import OpenPage, until_ready


def shows(page: Page, number: int, place: int) -> None:
    """The step is open, and so is its panel on its sentence."""
    step = lessons()[number].steps[place - 1]
    rail = page.locator(".lens-guide")
    expect(rail.get_by_role("heading", name=step.title, exact=True)).to_be_visible()
    expect(rail.locator("[aria-current=step]")).to_contain_text(step.title)
    expect(page.get_by_role("tab", selected=True)).to_have_text(panels()[step.state["panel"]].title)
    expect(page.get_by_role("textbox", name="Sentence")).to_have_value(step.state["text"])


def test_through_a_lesson(voila_page: OpenPage) -> None:
    page = voila_page()
    page.get_by_role("button", name="Lessons", exact=True).click()
    rail = page.get_by_role("complementary", name="Lessons")
    rail.get_by_role("button", name=lessons()[1].title).click()
    last = len(lessons()[1].steps)
    for place in range(1, last + 1):
        shows(page, 1, place)
        question = rail.locator("summary").first
        answer = rail.locator("details > div").first
        expect(answer).to_be_hidden()
        question.press("Enter")
        expect(answer).to_be_visible()
        if place < last:
            rail.get_by_role("button", name="Next", exact=True).click()
    expect(page).to_have_url(re.compile(f"lesson=1&step={last}"))
    rail.get_by_role("button", name="Lesson 2", exact=True).press("ArrowLeft")
    shows(page, 1, last - 1)
    rail.get_by_role("button", name="Back").press("Escape")
    expect(rail).to_be_hidden()
    expect(page.get_by_role("button", name="Lessons", exact=True)).to_be_focused()
    assert page.failures == []  # type: ignore[attr-defined]


def test_a_link_opens_its_step_and_nothing_overlaps(voila_address: str, open_page: OpenPage) -> None:
    page = until_ready(open_page(f"{voila_address}?lesson=2&step=1", width=1400))
    shows(page, 2, 1)
    assert side_by_side(page)
    page.set_viewport_size({"width": 900, "height": 900})
    assert not side_by_side(page)


def side_by_side(page: Page) -> bool:
    """Whether the rail stands beside the workbench; it may stand above it, and never across."""
    places = (
        """() => [".lens-guide", ".lens-header"].map((name) => document.querySelector(name).getBoundingClientRect())"""
    )
    rail, work = page.evaluate(places)  # both at one moment
    beside = bool(rail["x"] + rail["width"] <= work["x"])
    assert beside or rail["y"] + rail["height"] <= work["y"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return beside
