"""Visitors without rest: random sessions in a real browser on Voilà, and what they leave behind.

    python -m tests.soak --minutes 120 --visitors 2 --seed 1

Prints what the server and its kernels hold every half minute, and at the end a verdict: what was served and what
failed; whether memory grew, by a line fitted to what was held after the first quarter; which kernels outlived their
visitors, and which processes the server; every line in the log but the address. The exit status is 1 if any of it is
not as it should be. A visitor who got no answer leaves a picture of the page beside the log.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, Request, sync_playwright
from playwright.sync_api import Error as BrowserError

from lens.app._places import explore_notebook
from tests.ui._browser import chromium
from tests.ui._servers import serving

QUIET = ["--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-background-networking"]
EVERY = 30  # seconds between two looks at memory
PATIENCE = 240_000  # milliseconds that a page may take until it can be used, on a machine that others use too
WORDS = ["the", "old", "man", "sat", "by", "fire", "looked", "sea", "she", "opened", "door", "saw", "1,234"]
WORDS += ["京", "naïve", "👩\u200d🚀", "<b>bold</b>", "$x$", "\u202e"]
BAR = "[data-column=model] [data-token-id]"
KEPT = 2  # processes under a server without visitors: the one that kernels are forked from, and a kernel kept ready
GONE = 60  # seconds within which the kernels of those who left end
ADDRESS = "lens is at "  # how the one line begins that belongs into the log
LATE = "[anywidget] Failed to initialize model."  # a script that took longer than 2 s; its widget hears all the same
WARM = 0.25  # of a run, in which what is used first is loaded and caches fill
PARTS = 12  # means that a line is fitted to: of minutes each, so that one says little about the next
GROWTH = 0.03  # of what is held, an hour: more than this is growth, if it is more than chance


def typing(page: Page, chance: random.Random) -> None:
    """A new sentence, now and then none, or a very long one."""
    count = chance.choice((0, 3, 8, 12, 200))
    page.get_by_role("textbox", name="Sentence", exact=True).fill(" ".join(chance.choices(WORDS, k=count)))


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


@dataclass(frozen=True)
class Trend:
    """What was held over time: MB, and its growth in MB an hour with one standard error."""

    level: float
    growth: float
    error: float

    @property
    def verdict(self) -> str:
        """Whether it grew, as far as can be told."""
        if self.growth > GROWTH * self.level and self.growth > 3 * self.error:
            return "grows"
        return "flat" if self.growth + 2 * self.error <= GROWTH * self.level else "cannot be told: run longer"

    def __str__(self) -> str:
        return f"{self.level:.0f} MB, {self.growth:+.1f} ± {self.error:.1f} MB an hour: {self.verdict}"


def trend(hours: Sequence[float], held: Sequence[float]) -> Trend | None:
    """Least squares through the means of twelve parts of what came after the first quarter; None for too few."""
    first = int(len(hours) * WARM)
    if len(hours) - first < 2 * PARTS:
        return None
    x, y = (np.array([part.mean() for part in np.array_split(each[first:], PARTS)]) for each in (hours, held))
    spread = ((x - x.mean()) ** 2).sum()
    growth = ((x - x.mean()) * y).sum() / spread
    rest = y - y.mean() - growth * (x - x.mean())
    return Trend(float(y.mean()), float(growth), float(np.sqrt((rest**2).sum() / (PARTS - 2) / spread)))


class Soak:
    """The counts of one run."""

    def __init__(self, browser: Browser, address: str, chance: random.Random, folder: Path) -> None:
        self.browser, self.address, self.chance, self.folder = browser, address, chance, folder
        self.counts: Counter[str] = Counter()
        self.thrown: Counter[str] = Counter()

    def visit(self) -> Page | None:
        """A new visitor, when the page can be used; None where it never came so far."""
        page = self.browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.on("response", lambda answer: self._answered(answer.status))
        page.on("requestfailed", self._failed)
        page.on("pageerror", lambda error: self.thrown.update([str(error)[:100]]))
        self.counts["visits"] += 1
        try:
            page.goto(self.address, wait_until="commit", timeout=PATIENCE)
            page.wait_for_selector(BAR, timeout=PATIENCE)
        except BrowserError:
            self.counts["visits that never came to an answer"] += 1
            self._picture(page, "never-came")
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
            page.get_by_role("textbox", name="Sentence", exact=True).fill("The old man sat by the")
            page.get_by_role("tab", name="Jump", exact=True).click()
            page.wait_for_selector(
                ".lens-topk:not([aria-busy=true]) [data-column=model] [data-token-id]", timeout=60_000
            )
            self.counts["visits that ended with an answer"] += 1
        except BrowserError as error:
            self.counts["visits that ended without an answer"] += 1
            self.thrown.update([f"no answer: {str(error)[:80]}"])
            self._picture(page, "no-answer")

    def _picture(self, page: Page, name: str) -> None:
        with suppress(BrowserError):  # a page that is gone has none
            page.screenshot(path=self.folder / f"{name}-{self.counts['visits']}.png", timeout=10_000)

    def _failed(self, request: Request) -> None:
        """Not what a page gave up itself, by leaving or by asking anew."""
        if request.failure != "net::ERR_ABORTED":
            self.counts["requests failed"] += 1
            self.thrown.update([f"{request.failure} {request.url[:80]}"])

    def _answered(self, status: int) -> None:
        self.counts["requests served" if status < 400 else f"requests answered by {status}"] += 1


class _Only(random.Random):
    """Chance that leaves no choice."""

    def __init__(self, only: str) -> None:
        super().__init__(0)
        self.only = only

    def choice(self, _: Any) -> Any:
        return self.only


@dataclass
class Held:
    """What the server and the processes under it held, every half minute."""

    server: psutil.Process
    hours: list[float]
    own: list[float]  # MB
    kernels: list[float]  # MB, all together

    def look(self, seconds: float) -> str:
        """Look once; gives what was seen."""
        below = []
        for child in self.server.children(recursive=True):
            try:
                below.append(child.memory_info().rss >> 20)
            except psutil.NoSuchProcess:
                continue
        own = self.server.memory_info().rss / 2**20
        self.hours.append(seconds / 3600)
        self.own.append(own)
        self.kernels.append(float(sum(below)))
        return f"{seconds:5.0f} s server {own:.0f} MB, kernels {sorted(below, reverse=True)} MB"

    def orphans(self) -> int:
        """Kernels without a visitor that are still there after a while."""
        end = time.monotonic() + GONE
        while (more := len(self.server.children(recursive=True)) - KEPT) > 0 and time.monotonic() < end:
            time.sleep(1)
        return max(0, more)


def soak(soaking: Soak, held: Held, seconds: float, visitors: int) -> None:
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
            print(held.look(looked - begun), dict(soaking.counts), flush=True)
    for page in pages:
        soaking.answers_still(page)
        page.context.close()


def judged(soaking: Soak, held: Held, log: str, orphans: int, left: int) -> tuple[dict[str, Any], list[str]]:
    """What the run came to, and what of it is not as it should be."""
    lines = Counter(line[:160] for line in log.splitlines() if line and not line.startswith(ADDRESS))
    late = soaking.thrown.pop(LATE, 0)
    trends = {"server": trend(held.hours, held.own), "kernels": trend(held.hours, held.kernels)}
    told = {"counts": soaking.counts, "messages to scripts that came late": late, "thrown": soaking.thrown}
    told |= {name: str(found or "too short a run to tell") for name, found in trends.items()}
    told |= {"kernels without a visitor": orphans, "processes that outlived the server": left, "log": lines}
    wrong = [name for name in soaking.counts if "without an answer" in name or "never" in name or "failed" in name]
    wrong += [name for name in soaking.counts if "answered by" in name]
    wrong += [f"the memory of {name} grows" for name, found in trends.items() if found and found.verdict == "grows"]
    wrong += [
        name
        for name in ("thrown", "kernels without a visitor", "processes that outlived the server", "log")
        if told[name]
    ]
    return told, wrong


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
        soaking = Soak(browser, address, random.Random(chosen.seed), folder)  # noqa: S311 - chance, not a secret
        held = Held(server, [], [], [])
        print(held.look(0), flush=True)
        soak(soaking, held, chosen.minutes * 60, chosen.visitors)
        orphans, below = held.orphans(), server.children(recursive=True)
        browser.close()
    left = sum(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in below)
    log = (folder / "app.log").read_text(encoding="utf-8", errors="replace")
    told, wrong = judged(soaking, held, log, orphans, left)
    print(json.dumps(told, indent=1), folder)
    print("wrong: " + "; ".join(wrong) if wrong else "All is as it should be.")
    return int(bool(wrong))


def _is_app(process: psutil.Process) -> bool:
    return "lens.app.cli" in process.cmdline()


if __name__ == "__main__":
    sys.exit(main())
