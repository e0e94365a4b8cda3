"""What a page gives to be saved, as files."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Locator, Page

__all__ = ["Heard", "downloaded", "figure", "open_file"]

Heard = list[str]


def downloaded(page: Page, button: Locator, folder: Path) -> Path:
    """The file that a click on this button gives, under its own name."""
    with page.expect_download() as coming:
        button.click()
    file = folder / coming.value.suggested_filename
    coming.value.save_as(file)
    return file


def figure(page: Page, picture: Locator, kind: str, folder: Path) -> Path:
    """A picture of the page, as its menu saves it."""
    picture.get_by_role("button", name="Save this figure").click()
    return downloaded(page, picture.get_by_role("menuitem", name=kind), folder)


def open_file(browser: Browser, file: Path, heard: Heard) -> Page:
    """A saved page, opened with the network off; `heard` takes what it asks for and complains of."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.on("request", lambda request: heard.append(request.url))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text))
    page.goto(file.as_uri())
    page.wait_for_selector(".lens-table[data-cast]")
    return page
