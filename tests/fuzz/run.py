"""Throws bytes at every reader for a while: `python -m tests.fuzz.run --seconds 900 --seed 1 [--only pickle]`.

A reader may raise LensError. Anything else, a wait of seconds, a crash of the process or memory beyond the bound is a
finding: its input is kept in `tests/fuzz/found`, and the exit status is 1. Inputs that made a reader say something new
are kept in `tests/fuzz/corpus` (with --keep), and are where the next run begins.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from lens.errors import LensError
from tests.fuzz._mutate import mutated
from tests.fuzz._targets import TARGETS, Target

HERE = Path(__file__).parent
PATIENCE = 10  # seconds for one input, on a busy machine
MEMORY = 2 * 2**30  # bytes beyond what the process begins with
KEPT = 60  # inputs of a reader's corpus


def outcome(target: Target, data: bytes) -> tuple[str, bool]:
    """What a reader made of an input, without its numbers, and whether that is a finding."""
    try:
        target.read(data)
    except LensError as error:
        return re.sub(r"'[^']*'|\d+", "#", f"{type(error).__name__}: {error}")[:200], False
    except BaseException as error:  # noqa: BLE001 - a panic of Rust, too, is none of the exceptions that a program expects
        return f"{type(error).__name__}: {error}"[:300], True
    return "read", False


def fuzz(name: str, seconds: float, seed: int, keep: bool, slot: mmap.mmap, tell: Any) -> None:
    """In a process of its own: the counts, and what was found."""
    _bounded()
    target, chance = TARGETS[name], random.Random(f"{seed} {name}")  # noqa: S311 - chance, not a secret
    corpus = [*target.seeds, *(path.read_bytes() for path in sorted((HERE / "corpus" / name).glob("*")))]
    seen = {outcome(target, data)[0] for data in corpus}
    inputs, read, findings, slowest, end = 0, 0, {}, 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(chance, target.seeds, corpus, target.words)
        _write(slot, data)
        signal.alarm(PATIENCE)
        begun = time.perf_counter()
        said, bad = outcome(target, data)
        slowest = max(slowest, time.perf_counter() - begun)
        signal.alarm(0)
        inputs, read = inputs + 1, read + (said == "read")
        if bad:
            findings.setdefault(said, _kept("found", name, data))
        if said not in seen and len(corpus) < KEPT + len(target.seeds):
            seen.add(said)
            corpus.append(data)
            if keep:
                _kept("corpus", name, data)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tell.send(
        {"inputs": inputs, "read": read, "outcomes": len(seen), "slowest_s": round(slowest, 3), "peak_MB": peak >> 10}
        | {"findings": findings}
    )


def _bounded() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _late)


def _late(*_: Any) -> None:
    raise TimeoutError(f"no answer in {PATIENCE} seconds")


def _write(slot: mmap.mmap, data: bytes) -> None:
    slot.seek(0)
    slot.write(len(data).to_bytes(4, "big") + data)


def _kept(where: str, name: str, data: bytes) -> str:
    path = HERE / where / name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path.name


def run(name: str, seconds: float, seed: int, keep: bool) -> dict[str, Any]:
    """The counts of one reader; a crash of its process, or one that hears no alarm, is a finding too."""
    slot = mmap.mmap(-1, 2**20)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=fuzz, args=(name, seconds, seed, keep, slot, theirs))
    process.start()
    process.join(seconds + 10 * PATIENCE)  # its own alarm comes first, unless C code never returns to Python
    if process.is_alive():
        process.kill()
        process.join()
    if ours.poll():
        counts: dict[str, Any] = ours.recv()
        return counts
    size = int.from_bytes(slot[:4], "big")
    return {"findings": {f"the process ended with {process.exitcode}": _kept("found", name, slot[4 : 4 + size])}}


def main() -> int:
    """Every reader in turn, a table of counts, 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all readers together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(TARGETS))
    parser.add_argument("--keep", action="store_true", help="add to the corpus")
    chosen = parser.parse_args()
    os.nice(10)
    names = [chosen.only] if chosen.only else list(TARGETS)
    found = False
    for name in names:
        counts = run(name, chosen.seconds / len(names), chosen.seed, chosen.keep)
        found = found or bool(counts["findings"])
        print(name, json.dumps(counts), flush=True)
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
