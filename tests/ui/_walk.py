"""What a new user sees in ten minutes, as pictures: `python -m tests.ui._walk FOLDER [--width 900] [--dark] [--lab]`.

Nothing is asserted: the pictures are to be looked at. Without options, `lens app` at 1400 pixels in light.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright

from lens.app._places import explore_notebook
from lens.panels import panels
from tests.ui._browser import QUIET, chromium
from tests.ui._servers import PATIENCE, serving

Step = Callable[[Page], object]
MINUTE = 60_000  # milliseconds
SETTLE = 1_000  # milliseconds in which nothing that is drawn may still move
SETTLED = """() => {
  const seen = (node) => node.offsetParent !== null;
  const stops = [...document.querySelectorAll("button")].filter((node) => node.textContent.trim() === "Stop");
  const note = document.querySelector("[data-testid=note]")?.textContent ?? "";
  const open = document.querySelector(".lens-tabs .lm-TabPanel-stackedPanel > :not(.lm-mod-hidden)");
  const told = [...document.querySelectorAll(".lens-notice")].some(seen); // what stays dim until the advice is taken
  const busy = [...document.querySelectorAll(told ? ".lens-chips.lens-busy" : ".lens-busy"), ...stops].some(seen);
  return !busy && !note.startsWith("Loading") && (!open || open.childElementCount > 0);
}"""


def _tab(title: str) -> Step:
    return lambda page: page.get_by_role("tab", name=title, exact=True).click()


def _press(name: str) -> Step:
    return lambda page: page.get_by_role("button", name=name, exact=True).first.click()


def _type(name: str, words: str) -> Step:
    def typed(page: Page) -> None:
        box = page.get_by_role("textbox", name=name).or_(page.get_by_role("combobox", name=name)).first
        box.fill(words)
        box.press("Enter")

    return typed


def _drag(page: Page) -> None:
    """The source layer, over all of its way and back, faster than anything can be read."""
    handle = page.get_by_role("slider", name="Source layer").first
    handle.focus()
    for key in ["Home", *["ArrowRight"] * 12, *["ArrowLeft"] * 5]:
        handle.press(key)


def _hurry(page: Page) -> None:
    """From panel to panel, while each begins to compute."""
    for panel in panels().values():
        _tab(panel.title)(page)


STEPS: dict[str, tuple[Step, ...]] = {
    "arrived": (),
    "dragged": (_drag,),
    **{f"panel {panel.key}": (_tab(panel.title),) for panel in panels().values()},
    "hurried": (_hurry,),
    "wrong plan": (_tab("Assembly line"), _type("Plan", "0-3 [4-99")),
    "plan": (_type("Plan", "0-3 [4-7] 8-11"),),
    "share": (_tab("Jump"), _press("Share")),
    "lessons": (_press("Share"), _press("Lessons")),
    "lesson": (lambda page: page.locator(".lens-guide button", has_text="What a layer knows").first.click(),),
    "no lesson": (lambda page: page.locator(".lens-guide button").first.press("Escape"),),
    "wrong model": (_type("Model", "no-such-model"),),
    "masked model": (_type("Model", "demo-bert"),),
    "model again": (_type("Model", "demo"),),
    "empty": (_type("Sentence", ""),),
    "long": (_type("Sentence", "The old man sat. " * 588),),
    "scripts": (_type("Sentence", "👩‍🚀🔥 日本語の文 مرحبا بالعالم 한국어 हिन्दी"),),
    "scripts lens_table": (_tab("Lens table"),),
}
LINKS = {
    "link broken": "?source=99&plan=)(&panel=nope",
    "link lesson 5": "?lesson=5",
    "link compare models": "?panel=compare&against=model&other_model=demo-bert",
    "link compare plans": "?panel=compare&against=plan",
}


def walk(open_page: Callable[[str], Page], address: str, folder: Path) -> None:
    """Take every step on one page, then open every link on a page of its own, and keep a picture of each."""
    page = open_page(address)
    for number, (name, steps) in enumerate(STEPS.items()):
        _look(page, folder / f"{number:02} {name}.png", steps)
    for name, query in LINKS.items() if "/lab/" not in address else ():
        _look(open_page(address + query), folder / f"{name}.png", ())


def _look(page: Page, path: Path, steps: tuple[Step, ...]) -> None:
    try:
        for step in steps:
            step(page)
        if path.stem.endswith("hurried"):  # the one picture of work under way
            page.wait_for_timeout(SETTLE)
        else:
            _settle(page)
    except Error as error:  # the walk goes on, and says where it stumbled
        print(f"{path.stem}: {str(error).splitlines()[0]}")
    page.screenshot(path=path, full_page=True)


def _settle(page: Page) -> None:
    """Wait until all that was asked is drawn."""
    page.wait_for_timeout(SETTLE)
    page.wait_for_function(SETTLED, timeout=MINUTE)
    page.wait_for_timeout(SETTLE)


@contextmanager
def _pages(browser: Browser, width: int, dark: bool) -> Iterator[Callable[[str], Page]]:
    """Gives `open_page(address)`: a visitor's page when the sentence has been read."""
    theme = "dark" if dark else "light"
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(MINUTE)

    def opened(address: str) -> Page:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("pageerror", lambda error: print(f"thrown: {error}"))
        page.on("console", lambda said: print(f"console: {said.text}") if said.type == "error" else None)
        page.goto(address, wait_until="commit")
        if "/lab/" in address:
            page.get_by_text("| Idle").wait_for()
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_text("Run All Cells", exact=True).click()
        page.wait_for_selector("body:not(.page-waiting) .jp-OutputArea-output .jupyter-widgets")
        page.wait_for_selector("[data-position]")
        page.set_default_timeout(MINUTE // 4)
        page.wait_for_timeout(SETTLE)
        return page

    yield opened
    context.close()


def main() -> None:
    """Start the server and a browser, and walk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--lab", action="store_true", help="in JupyterLab instead of Voilà")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        notebook = Path(home) / "explore.ipynb"  # Lab saves what it has run
        notebook.write_bytes(explore_notebook().read_bytes())
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        command = ("lab", notebook, Path(home)) if asked.lab else ("app", explore_notebook(), Path(home))
        with serving(*command) as address, _pages(browser, asked.width, asked.dark) as open_page:
            walk(open_page, address, asked.folder)
        browser.close()


if __name__ == "__main__":
    main()
