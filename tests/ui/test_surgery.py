"""The assembly line in a real browser: drag, skip, box, loop, undo, type; the text and the predictions follow."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

import lens
from tests.ui.conftest import OpenPage, box_of

TEXT = "The old man sat by the fire and looked at the"


def opened(page: Page) -> Locator:
    expect(page.locator("[data-column=model] [data-token-id]").first).to_be_visible()
    page.get_by_role("tab", name="Assembly line").click()
    strip = page.locator(".lens-strip")
    expect(strip.locator(".lens-strip-row .lens-tile")).to_have_count(12)
    return strip


def plan(strip: Locator, text: str) -> None:
    expect(strip.locator("input")).to_have_value(text)


def drag(page: Page, strip: Locator, path: str, behind: str) -> None:
    start, end = (box_of(strip.locator(f"[data-path='{each}']")) for each in (path, behind))
    page.mouse.move(start["x"] + 10, start["y"] + 10)
    page.mouse.down()
    page.mouse.move(start["x"] + 30, start["y"] + 12, steps=3)
    page.mouse.move(end["x"] + end["width"] - 4, end["y"] + 12, steps=5)
    page.mouse.up()


def first(page: Page, column: str) -> Locator:
    return page.locator(f"[role=tabpanel]:visible [data-column={column}] [data-token-id]").first


def test_hands_on_the_strip(voila_page: OpenPage) -> None:
    page = voila_page()
    strip = opened(page)
    strip.locator("[data-path='4']").click()
    plan(strip, "0-3 5-11")
    expect(strip.locator("[data-restore]")).to_have_count(1)
    strip.locator("[data-restore='4']").click()
    plan(strip, "0-11")
    drag(page, strip, "2", "8")
    plan(strip, "0-1 3-8 2 9-11")
    strip.get_by_role("button", name="Undo").click()
    plan(strip, "0-11")
    strip.locator("[data-path='4']").click(modifiers=["Shift"])
    strip.locator("[data-path='7']").click(modifiers=["Shift"])
    strip.locator("[data-action='Parallel']").click()
    plan(strip, "0-3 [4-7] 8-11")
    strip.locator(".lens-box-head").click()
    strip.locator("[data-action='Loop +']").click()
    plan(strip, "0-3 [4-7]x2 8-11")
    expect(strip.locator("[data-testid=facts]")).to_contain_text("16 blocks run, 10 one after the other")
    found = lens.compare_plan(lens.load("demo"), TEXT, "0-3 [4-7]x2 8-11")
    kept = int((found.token_ids[:, 0] == found.full_token_ids[:, 0]).sum())
    expect(page.locator(".lens-shifts .lens-note")).to_contain_text(f"{kept} of 11 predictions are the full model")
    ids = page.locator("[data-column=plan] [data-token-id]")
    expect(ids.first).to_have_attribute("data-token-id", str(found.token_ids[-1, 0]))
    assert page.failures == []  # type: ignore[attr-defined]


def test_keys_and_words_on_the_strip(voila_page: OpenPage) -> None:
    page = voila_page(width=900, dark=True)
    strip = opened(page)
    strip.locator("[data-path='0']").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Alt+ArrowRight")
    plan(strip, "0-2 4-3 5-11")
    page.keyboard.press("Control+z")
    plan(strip, "0-11")
    strip.locator("[data-path='4']").focus()
    page.keyboard.press("Delete")
    plan(strip, "0-3 5-11")
    strip.locator("[data-path='4']").focus()
    page.keyboard.press("l")
    plan(strip, "0-3 5~attn 6-11")
    strip.locator("[data-path='4']").focus()
    page.keyboard.press("j")
    plan(strip, "0-3 mat(5>6) 6-11")
    strip.locator("input").fill("0-3 [4-7 8-11")
    expect(strip.get_by_role("alert")).to_contain_text("separate branches with |")
    expect(strip.locator("mark")).to_have_text("8")
    strip.locator("input").fill("0-3 (4-7)x2 8-11")
    expect(strip.get_by_role("alert")).to_have_count(0)
    expect(strip.locator(".lens-box-group")).to_be_visible()
    page.get_by_role("button", name="Write on with both").click()
    expect(page.locator(".lens-written p")).to_have_count(2)
    text = lens.generate(lens.load("demo"), TEXT, "0-3 (4-7)x2 8-11").text
    expect(page.locator(".lens-written p").first).to_contain_text(text.split("\n")[0].strip())
    assert page.evaluate("document.documentElement.scrollWidth") <= 900
    assert page.failures == []  # type: ignore[attr-defined]


def test_a_tile_under_the_hand_stays_while_the_answer_comes(voila_page: OpenPage) -> None:
    """A click whose tile is replaced between press and release would be lost."""
    page = voila_page()
    strip = opened(page)
    tile = strip.locator("[data-path='4']")
    tile.evaluate("tile => { tile.marked = true }")
    strip.locator("input").fill("0-3 4-11")
    strip.locator("input").blur()
    plan(strip, "0-11")
    expect(strip).not_to_have_attribute("aria-busy", "true")
    assert tile.evaluate("tile => tile.marked")


def test_sweeps_come_in_and_can_be_stopped(voila_page: OpenPage) -> None:
    page = voila_page(width=420)
    opened(page)
    page.get_by_role("tab", name="Sweeps").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".lens-state:visible")).to_contain_text("Stopped.")
    page.locator("select:visible").nth(2).select_option("this text")
    chart = page.locator(".lens-chart:visible")
    expect(chart.locator("polyline").first).to_be_attached()
    expect(chart).to_contain_text("looped parallel")
    page.get_by_role("tab", name="Layers").click()
    expect(page.locator("[role=radio]", has_text="mean-centred")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.failures == []  # type: ignore[attr-defined]
