"""A Chromium, and lens in it: served by Voilà, and opened in JupyterLab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from lens.app._places import explore_notebook
from tests.ui._browser import QUIET, chromium
from tests.ui._servers import PATIENCE, serving

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ui)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was amiss at first with each test that passed when it was run once more: else nobody could mend it."""
    for report in terminalreporter.stats.get("rerun", []):
        lines = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
        terminalreporter.write_line("\n".join([f"FIRST {report.nodeid}", *lines[:20]]))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    path = chromium()
    assert path, "There is no Chromium: install the package `chromium`, or run `playwright install chromium`."
    expect.set_options(timeout=60_000)  # milliseconds; a page waits for a kernel, and a kernel for its turn
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """`open_page(address, width=1280, dark=False, script="")`: the page of a new visitor.

    `script` runs before anything of the page. `page.asked` lists every address that it has asked for,
    `page.failures` what it has thrown.
    """
    contexts = []

    def opened(address: str, *, width: int = 1280, dark: bool = False, script: str = "") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.asked, page.failures = [], []  # type: ignore[attr-defined]
        page.on("request", lambda request: page.asked.append(request.url))  # type: ignore[attr-defined]
        page.on("websocket", lambda socket: page.asked.append(socket.url))  # type: ignore[attr-defined]
        page.on("pageerror", lambda error: page.failures.append(str(error)))  # type: ignore[attr-defined]
        page.goto(address, wait_until="commit")
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def voila_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `lens app` serves lens's own notebook."""
    with serving("app", explore_notebook(), tmp_path_factory.mktemp("voila"), "--preheat", "0") as address:
        yield address


@pytest.fixture
def voila_page(voila_address: str, open_page: OpenPage) -> OpenPage:
    """`voila_page(width=1280, dark=False)`: lens for a new visitor, when its widgets can be seen."""

    def opened(**options: object) -> Page:
        return until_ready(open_page(voila_address, **options))

    return opened


@pytest.fixture
def lab_page(tmp_path: Path, open_page: OpenPage) -> Iterator[OpenPage]:
    """`lab_page(width=1280)`: lens's own notebook in JupyterLab, all its cells run, its widgets to be seen."""
    notebook = tmp_path / "explore.ipynb"  # Lab saves what it has run
    notebook.write_bytes(explore_notebook().read_bytes())
    with serving("lab", notebook, tmp_path) as address:

        def opened(**options: object) -> Page:
            page = open_page(address, **options)
            page.get_by_text("| Idle").wait_for()  # what is asked before the kernel is there is not done, nor said
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_text("Run All Cells", exact=True).click()
            page.wait_for_selector(".jp-OutputArea-output .jupyter-widgets")
            return page

        yield opened


def box_of(target: Locator) -> Any:
    """Where something is; if it is replaced just as it is looked at, where what replaced it is."""
    for _ in range(20):
        expect(target).to_be_visible()
        if found := target.bounding_box():
            return found
        target.page.wait_for_timeout(50)
    raise AssertionError(f"{target} is never still")


def until_ready(page: Page) -> Page:
    """The same page, when Voilà's skeleton has given way to the widgets."""
    page.wait_for_selector("body:not(.page-waiting) .jp-OutputArea-output .jupyter-widgets")
    return page
