"""Panels look as they did: each picture is compared with the one that was kept, tile by tile.

Where a change of look is meant, `LENS_PICTURES=keep pytest tests/ui/test_pictures.py` keeps the new ones: look at them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from lens.panels import panels
from tests.ui.test_reach import UNMADE

KEPT = Path(__file__).with_name("pictures")
TILE = 24  # pixels; a word fills one
TOLERANCE = 8.0  # of 255, mean over a tile: edges are smoothed otherwise elsewhere, a digit may round otherwise
FONT = "Liberation Sans"  # comes with Chromium on Debian; other fonts have other widths
HAS_FONT = """(font) => {
    const pen = document.createElement("canvas").getContext("2d");
    const width = (family) => { pen.font = `40px ${family}`; return pen.measureText("lens WAV 0123").width; };
    return width(`"${font}", monospace`) !== width("monospace");
}"""
SEEN = [
    *[(key, 1400, "light") for key in ("jump", "lens_table", "r2", "assembly_line")],
    *[(key, 900, "dark") for key in ("jump", "lens_table", "r2", "assembly_line")],
]


@pytest.fixture(scope="module")
def page(browser: Browser, voila_address: str) -> Iterator[Page]:
    """One visit."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(voila_address.rstrip("/") + "/?text=She+opened+the+door+and+saw+the&source=3&plan=0-3+7-4+8-11")
    expect(page.locator("[data-column=model] [data-token-id]").first).to_be_visible()
    if not page.evaluate(HAS_FONT, FONT):
        pytest.skip(f"The pictures are kept in {FONT}, which this machine lacks (Debian: fonts-liberation).")
    page.add_style_tag(content=f':root, .lens, .lens-live {{ --lens-font: "{FONT}" !important; }}')
    yield page
    context.close()


def picture(page: Page) -> Image.Image:
    shot = page.locator(".lens-workbench").screenshot(animations="disabled", caret="hide")
    return Image.open(io.BytesIO(shot)).convert("RGB")


def taken(page: Page, key: str, width: int, scheme: str) -> Image.Image:
    page.set_viewport_size({"width": width, "height": 1000})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.get_by_role("tab", name=panels()[key].title, exact=True).click()
    page.mouse.move(0, 0)
    expect(page.locator(UNMADE)).to_have_count(0)
    expect(page.locator(".lens [aria-busy=true]:visible")).to_have_count(0)
    before, after = None, picture(page)
    while before is None or before.tobytes() != after.tobytes():  # until it stands still
        page.wait_for_timeout(200)
        before, after = after, picture(page)
    return after


def difference(kept: Image.Image, now: Image.Image) -> float:
    """The largest mean difference of a tile; 255 where the sizes differ by more than a tile."""
    if max(abs(a - b) for a, b in zip(kept.size, now.size, strict=True)) > TILE:
        return 255.0
    width, height = (min(a, b) // TILE * TILE for a, b in zip(kept.size, now.size, strict=True))
    one, other = (np.asarray(each, dtype=float)[:height, :width] for each in (kept, now))
    tiles = np.abs(one - other).mean(2).reshape(height // TILE, TILE, width // TILE, TILE)
    return float(tiles.mean((1, 3)).max())


@pytest.mark.parametrize(("key", "width", "scheme"), SEEN)
def test_it_looks_as_it_did(page: Page, key: str, width: int, scheme: str, tmp_path: Path) -> None:
    path = KEPT / f"{key}-{width}-{scheme}.png"
    now = taken(page, key, width, scheme)
    if os.environ.get("LENS_PICTURES") == "keep":
        now.save(path, optimize=True)
    kept = Image.open(path).convert("RGB")
    now.save(tmp_path / path.name)
    found = difference(kept, now)
    assert found < TOLERANCE, f"{path.name} differs by {found:.1f}: compare {path} with {tmp_path / path.name}"


def test_a_word_less_would_be_seen(page: Page) -> None:
    before = taken(page, "jump", 1400, "light")
    page.add_style_tag(content=".lens-row:nth-child(2) .lens-row-label { visibility: hidden }")
    assert difference(before, picture(page)) > TOLERANCE
