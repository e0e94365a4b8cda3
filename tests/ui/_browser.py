"""Where Chromium is; as a script: whether there is one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

__all__ = ["QUIET", "chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]


def chromium() -> str | None:
    """The path of a Chromium: the one in $LENS_CHROMIUM, of this machine, or one that Playwright has installed."""
    found = os.environ.get("LENS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    return found or _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


if __name__ == "__main__":
    sys.exit(0 if chromium() else 1)
