"""The panels and the report of linear shortcuts in a real browser: pictures that answer the hand."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

import lens
from lens.analyses import heldout_sentences
from lens.app._report import write_report
from lens.execution import maps_for
from tests.ui.conftest import OpenPage, box_of


def opened(page: Page, tab: str) -> None:
    expect(page.locator(".lens-chips [data-position]").first).to_be_visible()
    page.get_by_role("tab", name=tab, exact=True).click()


def jumps(page: Page, said: str) -> None:
    """The jump is between these layers."""
    page.get_by_role("tab", name="Jump", exact=True).click()
    expect(page.locator("[data-column=mat] .lens-column-subtitle")).to_contain_text(said)
    page.get_by_role("tab", name="r²", exact=True).click()


def test_the_tabs_in_voila(voila_page: OpenPage) -> None:
    page = voila_page()
    opened(page, "r²")
    r2 = maps_for(lens.load("demo")).card.r2()
    readout = page.locator(".lens-heatmap:visible [data-testid=readout]")
    expect(readout).to_contain_text(f"layer 4 → 12:  id −{-r2.of('id').value[4, 12]:.3f}")
    expect(readout).to_contain_text(f"mat {r2.of('mat').value[4, 12]:.3f} ± <0.001")
    assert r2.of("mat").error[4, 12] < 0.0005
    canvas = page.locator("[data-map=mat]:visible canvas")
    box = box_of(canvas)
    side = (box["width"] - 34) / 13
    canvas.click(position={"x": 34 + 9.5 * side, "y": 4 + 2.5 * side})
    jumps(page, "layer 2 mapped to layer 9")
    page.locator(".lens-heatmap-row:visible").press("ArrowDown")
    expect(readout).to_contain_text("layer 3 → 9:")
    page.locator(".lens-heatmap-row:visible").press("Enter")
    jumps(page, "layer 3 mapped to layer 9")
    page.get_by_role("radio", name="of the update").click()
    expect(readout).to_contain_text(f"mat {r2.of('mat', 'update').value[3, 9]:.3f}")

    opened(page, "Curves")
    chart = page.locator(".lens-chart:visible").first
    expect(chart.locator(".lens-chart-line[data-key=mat] polyline")).to_be_visible()
    expect(chart.locator("[data-testid=readout]")).to_contain_text("layer 3:  id")
    chart.locator("svg[role=img]").press("ArrowRight")
    expect(chart.locator("[data-testid=readout]")).to_contain_text("layer 4:  id")

    opened(page, "Early exit")
    expect(page.locator(".lens-exits [data-testid=note]")).to_contain_text("Set the target to the last layer")
    assert page.failures == []  # type: ignore[attr-defined]


def test_a_slider_dragged_quickly_in_early_exit(voila_page: OpenPage) -> None:
    page = voila_page(width=420, dark=True)
    opened(page, "Early exit")
    expect(page.locator(".lens-exit")).to_have_count(11)
    handle = page.locator(".widget-slider:visible", has_text="λ").locator(".noUi-handle")
    handle.focus()
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".lens-exit[data-layer='1']").nth(8)).to_be_attached()  # a threshold of nearly nothing
    for _ in range(120):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".lens-exit[data-layer='12']")).to_have_count(11)
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.failures == []  # type: ignore[attr-defined]


def test_the_report_opens_without_a_network(tmp_path: Path, open_page: OpenPage) -> None:
    out = write_report(lens.load("demo"), heldout_sentences(), tmp_path / "report.html", sentences=20)
    page = open_page(out.as_uri())
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator(".js-plotly-plot .main-svg").nth(20)).to_be_attached()
    assert page.asked == [out.as_uri()]  # type: ignore[attr-defined]
    assert page.failures == []  # type: ignore[attr-defined]
