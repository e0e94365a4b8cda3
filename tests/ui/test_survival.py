"""Killed in the middle of work: what a visitor sees, what is kept, and what the others notice."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
from playwright.sync_api import Page, expect

from lens.app._places import explore_notebook
from tests.ui._servers import free_port, serving
from tests.ui.conftest import OpenPage, until_ready
from tests.ui.test_serving import eventually, kernel_of, kernels, kill

WRITTEN = "The captain looked out over the grey"
SINCE = "The captain looked out over the grey and silent"


def sentence(page: Page) -> str:
    return page.locator(".lens-sentence textarea").input_value()


def write(page: Page, text: str) -> None:
    """Type a sentence and wait until lens has answered it."""
    page.locator(".lens-sentence textarea").fill(text)
    page.wait_for_function("(text) => new URLSearchParams(location.search).get('text') === text", arg=text)


def start_again(page: Page) -> Page:
    with page.expect_navigation():
        page.get_by_role("button", name="Start again").click()
    return until_ready(page)


def test_after_a_kernels_death_one_click_goes_on_with_the_sentence_and_nobody_else_notices(
    voila_page: OpenPage,
) -> None:
    page, other = voila_page(), voila_page()
    write(page, WRITTEN)
    write(other, "Once upon a time")
    kill(kernel_of(page))
    page.locator(".lens-sentence textarea").fill(SINCE)  # into a page that nobody hears any more
    expect(page.get_by_text("This page's session has ended")).to_be_visible()
    write(other, "Once upon a time there was")
    expect(other.locator("#page-notice")).to_be_hidden()
    start_again(page)
    assert sentence(page) == SINCE
    assert parse_qs(urlsplit(page.url).query)["text"] == [SINCE]
    assert sentence(other) == "Once upon a time there was"


def test_after_the_servers_death_no_process_stays_and_a_new_one_goes_on_with_the_sentence(
    tmp_path: Path, open_page: OpenPage
) -> None:
    options = ("--preheat", "0", "--port", str(free_port()))
    with serving("app", explore_notebook(), tmp_path, *options) as address:
        page = until_ready(open_page(address))
        write(page, WRITTEN)
        server = next(each for each in psutil.Process().children() if options[-1] in each.cmdline())
        below = server.children(recursive=True)
        assert kernels().keys() & {each.pid for each in below}
        server.kill()
        eventually(page, lambda: not any(map(_runs, below)))
    page.locator(".lens-sentence textarea").fill(SINCE)
    expect(page.get_by_text("lens does not answer")).to_be_visible()
    with serving("app", explore_notebook(), tmp_path, *options):
        expect(page.get_by_text("This page's session has ended")).to_be_visible()
        assert sentence(start_again(page)) == SINCE


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
