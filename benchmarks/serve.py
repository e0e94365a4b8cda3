"""What visitors of `lens app` wait for and what each costs, in real browsers: `python benchmarks/serve.py --help`.

Every answer that a visitor sees is compared with what `lens.read` says of the same sentence and layer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
from playwright.async_api import Browser, Page, async_playwright

import lens
import lens.wire

sys.path.insert(0, str(Path(__file__).parents[1]))
from lens.app._places import explore_notebook
from tests.ui._browser import chromium
from tests.ui._servers import serving, write_notebook
from tests.ui.conftest import QUIET
from tests.unit.cluster._served import serving as serving_engine

EXAMPLE = "The old man sat by the fire and looked at the"
BEGINNINGS = (
    "The captain",
    "My sister",
    "The child",
    "An old friend",
    "The doctor",
    "Nobody",
    "The queen",
    "A stranger",
)
MIDDLES = ("looked out over the", "opened the door to the", "had never spoken of the", "walked slowly towards the")
PATIENCE = 120_000  # milliseconds
SAME = """([column, rows]) => {
  const seen = [...document.querySelectorAll(`.lens-topk [data-column=${column}] [data-token-id]`)];
  return seen.length === rows.length && document.querySelectorAll(".lens-topk[aria-busy=true]").length === 0 &&
    seen.every((row, i) => +row.dataset.tokenId === rows[i][0] &&
      Math.abs(+row.dataset.probability - rows[i][1]) < 2e-5);
}"""
EMPTY = """
import lens, lens.panels, torch, transformers
from lens.panels.live import TopK
import ipywidgets as widgets
widgets.Button(description="here")
"""


def main() -> None:
    chosen = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = str(sized(folder / "sized")) if chosen.sized else "demo"
        print(
            f"{'16 blocks of width 768, random' if chosen.sized else 'demo'}; {chosen.visitors} visitors; "
            f"{os.cpu_count()} cores, {platform.machine()}, voila {version('voila')}, torch {version('torch')}; "
            f"load of the machine before: {os.getloadavg()[0]:.1f}"
        )
        answers = expected(model)
        for way in chosen.ways:
            print(f"\n## {way}", flush=True)
            asyncio.run(measured(way, model, answers, chosen, folder))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="for which each visitor types and drags")
    parser.add_argument("--starts", type=int, default=5, help="visits one after the other, each timed")
    parser.add_argument("--sized", action="store_true", help="a model of the size of gpt2 instead of demo")
    parser.add_argument("--memory", action="store_true", help="measure memory only, without browsers")
    parser.add_argument(
        "--ways", nargs="+", default=["forked", "warm", "alone", "empty"], help="or engine, engine-alone"
    )
    return parser.parse_args()


def sized(folder: Path) -> Path:
    """A GPT-2 of 116 million random weights with demo's tokenizer, as a folder."""
    from shutil import copyfile

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=16, n_embd=768, n_head=12, vocab_size=4096, n_positions=1024, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        copyfile(Path(lens.__file__).parent / "models" / "embedded" / "demo" / name, folder / name)
    return folder


def expected(model: str) -> dict[str, list[list[list[float]]]]:
    """By sentence: for each layer, the tokens and probabilities of its `id` column."""
    loaded, found = lens.load(model), {}
    for text in [EXAMPLE, *(f"{first} {then}" for first in BEGINNINGS for then in MIDDLES)]:
        reading = lens.read(loaded, text, k=8, casts=("id",))
        pairs = zip(reading.token_ids[0, :, -1].tolist(), reading.probabilities[0, :, -1].tolist(), strict=True)
        found[text] = [[[token, chance] for token, chance in zip(*row, strict=True)] for row in pairs]
    return found


async def measured(way: str, model: str, answers: Any, chosen: argparse.Namespace, folder: Path) -> None:
    """Serve in one way, and print what visitors found."""
    options = ["--model", model, "--preheat", "1" if way in ("warm", "empty") else "0"]
    options += ["--no-fork"] if way == "alone" else []
    notebook = write_notebook(folder / "empty.ipynb", EMPTY) if way == "empty" else explore_notebook()
    with ExitStack() as stack:
        if way in ("engine", "engine-alone"):
            engine, process = stack.enter_context(serving_engine(model))
            options = ["--engine", engine, "--preheat", "0", *(["--no-fork"] if way == "engine-alone" else [])]
            lens.load(lens.wire.Engine(engine).models()[0], engine=engine).fetch()
            told = [
                f"{each.name()} {_pss(each.pid) / 2**20:.0f}" for each in [process, *process.children(recursive=True)]
            ]
            print(f"PSS of the engine and Ray, MB: {', '.join(told)}")
        address = stack.enter_context(serving("app", notebook, folder, *options))
        if chosen.memory:
            await _without_browsers(address, chosen.visitors)
        else:
            await _with_browsers(way, address, answers, chosen)


async def _with_browsers(way: str, address: str, answers: Any, chosen: argparse.Namespace) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        await _one_by_one(way, browser, address, answers, chosen.starts)
        if way in ("forked", "alone", "engine", "engine-alone"):
            await _at_once(browser, address, answers, chosen)
        await browser.close()


async def _without_browsers(address: str, visitors: int) -> None:
    """Memory alone, for machines too small for the browsers: pages are asked for, and their sessions answer."""
    before = memory()
    asked = [asyncio.to_thread(_fetch, address) for _ in range(visitors)]
    begin = time.monotonic()
    await asyncio.gather(*asked)
    print(f"{visitors} pages asked for at once are whole after {time.monotonic() - begin:.1f} s")
    await asyncio.sleep(10)  # the sessions read their sentence
    print(
        f"PSS: {before / 2**20:.0f} MB without visitors, {(memory() - before) / 2**20 / visitors:.0f} MB each more "
        f"({memory.kernels()} kernels)",
        flush=True,
    )


def _fetch(address: str) -> int:
    with urllib.request.urlopen(address, timeout=300) as answer:  # noqa: S310 - our own address
        return len(answer.read())


async def _one_by_one(way: str, browser: Browser, address: str, answers: Any, times: int) -> None:
    spent = []
    for _ in range(times):
        await asyncio.sleep(8 if way in ("warm", "empty") else 1)  # the pool fills again
        page, seconds = await arrive(browser, address, None if way == "empty" else answers)
        spent.append(seconds)
        await page.context.close()
    print(f"address → {'a button' if way == 'empty' else 'first prediction'}: {figures(spent)}", flush=True)


async def _at_once(browser: Browser, address: str, answers: Any, chosen: argparse.Namespace) -> None:
    before, worked = memory(), memory.worked()
    arrived = await asyncio.gather(*(arrive(browser, address, answers) for _ in range(chosen.visitors)))
    print(f"{chosen.visitors} at once, address → first prediction: {figures([seconds for _, seconds in arrived])}")
    print(f"processor time until then: {_shares(worked, memory.worked(), chosen.visitors)}")
    worked = memory.worked()
    begin = time.monotonic()
    # each visitor's own choices, the same in each run
    visits = [visit(page, answers, begin + chosen.seconds, random.Random(i)) for i, (page, _) in enumerate(arrived)]
    done = await asyncio.gather(*visits)
    print(f"processor time of typing and dragging: {_shares(worked, memory.worked(), chosen.visitors)}")
    typed, dragged = ([one for each in done for one in each[place]] for place in (0, 1))
    print(f"a sentence → its answer: {figures(typed)}\na slider's key → its answer: {figures(dragged)}")
    print(f"answers seen and right: {len(typed) + len(dragged)}; wrong or late: {sum(each[2] for each in done)}")
    after = memory()
    print(
        f"PSS: {before / 2**20:.0f} MB without visitors, {(after - before) / 2**20 / chosen.visitors:.0f} MB each more"
    )
    for page, _ in arrived:
        await page.context.close()
    left = time.monotonic()
    while memory.kernels() and time.monotonic() - left < 60:
        await asyncio.sleep(0.2)
    print(f"kernels {time.monotonic() - left:.1f} s after all tabs closed: {memory.kernels()}", flush=True)


async def arrive(browser: Browser, address: str, answers: Any | None) -> tuple[Page, float]:
    """A new visitor's page when it shows the first right prediction, and the seconds that took."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    begin = time.perf_counter()
    await page.goto(address, wait_until="commit")
    if answers is None:
        await page.get_by_role("button", name="here").wait_for()
    else:
        await page.wait_for_selector("body:not(.page-waiting) .lens-topk")
        await page.wait_for_function(SAME, arg=["id", answers[EXAMPLE][4]])
    return page, time.perf_counter() - begin


async def visit(page: Page, answers: Any, end: float, chance: random.Random) -> tuple[list[float], list[float], int]:
    """Type and drag until `end`: seconds until each right answer, and how many never came."""
    typed: list[float] = []
    dragged: list[float] = []
    missed, source = 0, 4
    box = page.locator(".lens-sentence textarea")
    handle = page.locator(".widget-slider", has_text="Source").locator(".noUi-handle")
    texts = [text for text in answers if text != EXAMPLE]
    while time.monotonic() < end:
        text = chance.choice(texts)
        try:
            begin = time.perf_counter()
            await box.fill(text)
            await page.wait_for_function(SAME, arg=["id", answers[text][source]], timeout=30_000)
            typed.append(time.perf_counter() - begin)
            for _ in range(3):
                key, source = ("ArrowLeft", source - 1) if source > 2 else ("ArrowRight", source + 1)
                begin = time.perf_counter()
                await handle.press(key)
                await page.wait_for_function(SAME, arg=["id", answers[text][source]], timeout=30_000)
                dragged.append(time.perf_counter() - begin)
        except Exception as error:  # noqa: BLE001 - counted, and said
            missed += 1
            print(f"missed: {type(error).__name__} {str(error)[:80]!r}", flush=True)
        await asyncio.sleep(chance.uniform(0.5, 2))
    return typed, dragged, missed


class _Memory:
    """The proportional set size of the server and all that it has started."""

    def __call__(self) -> float:
        return sum(_pss(each.pid) for each in self._processes())

    def worked(self) -> tuple[float, float]:
        """Seconds of processor time: of what serves, and of the browsers, which elsewhere run on visitors' machines."""
        browsers = [each for each in psutil.Process().children(recursive=True) if "chrom" in each.name()]
        return sum(map(_seconds, self._processes())), sum(map(_seconds, browsers))

    def kernels(self) -> int:
        """How many kernels there are."""
        return sum(any("-ipc-" in str(sock.laddr) for sock in _sockets(each)) for each in self._processes()[1:])

    def _processes(self) -> list[psutil.Process]:
        served = [each for each in psutil.Process().children() if "lens.app.cli" in each.cmdline()]
        served.sort(key=lambda each: "app" not in each.cmdline())  # the page first, then an engine if there is one
        return [inner for each in served for inner in (each, *each.children(recursive=True))]


memory = _Memory()


def _seconds(process: psutil.Process) -> float:
    try:
        spent = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(spent.user + spent.system)


def _shares(before: tuple[float, float], after: tuple[float, float], visitors: int) -> str:
    served, shown = ((b - a) / visitors for a, b in zip(before, after, strict=True))
    return f"{served:.2f} s a visitor for what serves, {shown:.2f} s for the browsers"


def _sockets(process: psutil.Process) -> list[Any]:
    try:
        found: list[Any] = process.net_connections("unix")
    except psutil.Error:
        found = []
    return found


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def figures(spent: list[float]) -> str:
    """Median, 95th percentile and number."""
    if not spent:
        return "none"
    high = quantiles(spent, n=20)[-1] if len(spent) > 1 else spent[0]
    return f"p50 {median(spent):.2f} s, p95 {high:.2f} s, n = {len(spent)}"


if __name__ == "__main__":
    main()
