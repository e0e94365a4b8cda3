"""Visitors without rest: random sessions in a real browser on Voilà, and what they leave behind.

    python -m tests.soak --minutes 120 --visitors 2 --seed 1

Prints what the server and its kernels hold every half minute, and at the end what was served, what failed, what stands
in the log, and which processes outlived the server. The exit status is 1 if a request or a page failed that should not
have, the log holds a trace, or a process is left.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from lens.app._places import explore_notebook
from tests.ui._browser import chromium
from tests.ui._servers import serving

QUIET = ["--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-background-networking"]
EVERY = 30  # seconds between two looks at memory
PATIENCE = 120_000  # milliseconds that a page may take until it can be used
WORDS = ["the", "old", "man", "sat", "by", "fire", "looked", "sea", "she", "opened", "door", "saw", "1,234"]
WORDS += ["京", "naïve", "👩\u200d🚀", "<b>bold</b>", "$x$", "\u202e"]
BAR = "[data-column=model] [data-token-id]"
TROUBLE = re.compile(r"Traceback|\bERROR\b|\[E \d")


def typing(page: Page, chance: random.Random) -> None:
    """A new sentence, now and then none, or a very long one."""
    count = chance.choice((0, 3, 8, 12, 200))
    page.get_by_role("textbox", name="Sentence").fill(" ".join(chance.choices(WORDS, k=count)))


def sliding(page: Page, chance: random.Random) -> None:
    """Source and target, by the keys."""
    handle = page.locator(".widget-slider .noUi-handle").nth(chance.randrange(2))
    for _ in range(chance.randrange(1, 12)):
        handle.press(chance.choice(("ArrowLeft", "ArrowRight", "Home", "End")), timeout=5_000)


def tabbing(page: Page, chance: random.Random) -> None:
    """Another panel."""
    tabs = page.get_by_role("tab")
    tabs.nth(chance.randrange(tabs.count())).click(timeout=5_000)


def choosing(page: Page, chance: random.Random) -> None:
    """Another model, which may be none."""
    box = page.get_by_label("Model", exact=True).or_(page.get_by_placeholder("demo, a folder")).first
    box.fill(chance.choice(("demo", "demo-bert", "demmo", "/etc")), timeout=5_000)
    box.press("Enter")


def pointing(page: Page, chance: random.Random) -> None:
    """A word of the sentence."""
    chips = page.locator(".lens-chips [data-position]")
    chips.nth(chance.randrange(max(1, chips.count()))).click(timeout=5_000)


ACTIONS: list[Callable[[Page, random.Random], None]] = [typing, typing, sliding, sliding, tabbing, pointing, choosing]


class Soak:
    """The counts of one run."""

    def __init__(self, browser: Browser, address: str, chance: random.Random) -> None:
        self.browser, self.address, self.chance = browser, address, chance
        self.counts: Counter[str] = Counter()
        self.thrown: Counter[str] = Counter()

    def visit(self) -> Page | None:
        """A new visitor, when the page can be used; None where it never came so far."""
        page = self.browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.on("response", lambda answer: self._answered(answer.status))
        page.on("pageerror", lambda error: self.thrown.update([str(error)[:100]]))
        self.counts["visits"] += 1
        try:
            page.goto(self.address, wait_until="commit", timeout=PATIENCE)
            page.wait_for_selector(BAR, timeout=PATIENCE)
        except BrowserError:
            self.counts["visits that never came to an answer"] += 1
            page.context.close()
            return None
        return page

    def act(self, page: Page) -> None:
        """One random action; one that finds nothing to act on is counted, and is no failure."""
        try:
            self.chance.choice(ACTIONS)(page, self.chance)
            self.counts["actions"] += 1
        except BrowserError:
            self.counts["actions without a place"] += 1
        page.wait_for_timeout(self.chance.choice((20, 200, 1_000)))

    def answers_still(self, page: Page) -> None:
        """Before a visitor leaves: the page still answers a plain sentence."""
        try:
            choosing(page, _Only("demo"))
            page.get_by_role("textbox", name="Sentence").fill("The old man sat by the")
            page.get_by_role("tab", name="Jump", exact=True).click()
            page.wait_for_selector(
                ".lens-topk:not([aria-busy=true]) [data-column=model] [data-token-id]", timeout=60_000
            )
            self.counts["visits that ended with an answer"] += 1
        except BrowserError as error:
            self.counts["visits that ended without an answer"] += 1
            self.thrown.update([f"no answer: {str(error)[:80]}"])

    def _answered(self, status: int) -> None:
        self.counts["requests served" if status < 400 else f"requests answered by {status}"] += 1


class _Only(random.Random):
    """Chance that leaves no choice."""

    def __init__(self, only: str) -> None:
        super().__init__(0)
        self.only = only

    def choice(self, _: Any) -> Any:
        return self.only


def held(server: psutil.Process) -> dict[str, Any]:
    """MB of the server and of each process under it, largest first."""
    below = []
    for child in server.children(recursive=True):
        try:
            below.append(child.memory_info().rss >> 20)
        except psutil.NoSuchProcess:
            continue
    return {"server_MB": server.memory_info().rss >> 20, "kernels_MB": sorted(below, reverse=True)}


def soak(soaking: Soak, server: psutil.Process, seconds: float, visitors: int) -> None:
    """Visitors come, act and go until the time is over; then the last go."""
    pages: list[Page] = []
    begun = looked = time.monotonic()
    while time.monotonic() - begun < seconds:
        if len(pages) < visitors and (page := soaking.visit()):
            pages.append(page)
        for page in list(pages):
            soaking.act(page)
            if soaking.chance.random() < 0.03:
                soaking.answers_still(page)
                page.context.close()
                pages.remove(page)
        if time.monotonic() - looked > EVERY:
            looked = time.monotonic()
            print(f"{looked - begun:5.0f} s", json.dumps(held(server)), dict(soaking.counts), flush=True)
    for page in pages:
        soaking.answers_still(page)
        page.context.close()


def main() -> int:
    """The whole run, and what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--visitors", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    folder, before = Path(mkdtemp(prefix="lens-soak-")), {child.pid for child in psutil.Process().children()}
    with serving("app", explore_notebook(), folder) as address, sync_playwright() as playwright:
        [server] = [child for child in psutil.Process().children() if child.pid not in before and _is_app(child)]
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        soaking = Soak(browser, address, random.Random(chosen.seed))  # noqa: S311 - chance, not a secret
        print("   0 s", json.dumps(held(server)), flush=True)
        soak(soaking, server, chosen.minutes * 60, chosen.visitors)
        below = server.children(recursive=True)
        print("  end", json.dumps(held(server)), flush=True)
        browser.close()
    left = [child.pid for child in below if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    log = (folder / "app.log").read_text(encoding="utf-8", errors="replace").splitlines()
    trouble = Counter(line[:120] for line in log if TROUBLE.search(line))
    told = {"counts": soaking.counts, "thrown": soaking.thrown, "left": left, "log": trouble}
    print(json.dumps(told, indent=1), folder)
    failed = [name for name in soaking.counts if "without an answer" in name or "never" in name or "by 5" in name]
    return int(bool(failed or soaking.thrown or left or trouble))


def _is_app(process: psutil.Process) -> bool:
    return "lens.app.cli" in process.cmdline()


if __name__ == "__main__":
    sys.exit(main())
