"""Memory runs out for real, under `ulimit -v`: words, and the same session answers the smaller request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

SESSION = """
import json, resource, tempfile
import psutil, torch
import lens
from lens.errors import LensError
from lens.models import load

torch.set_num_threads(1)
WORDS = "the old man sat by the fire and looked at the sea " * 60
model = lens.load("demo", device="cpu")
long, short = " ".join(WORDS.split()[:240]), "The old man sat."
lens.read(model, short)

def fit(texts, width):
    return lens.fit(model, texts, pairs="all", positions="all", memory=width, holdout=[short])

hoard = []

def fill(_=None):
    # all that there is left, also what was freed and lies in the allocator: where that ends, no one can foretell
    try:
        while True:
            hoard.append(bytearray(1 << 14))
    except MemoryError:
        pass

def plan(text):
    return lens.run(model, text, "0-2 [3|4|5]x3 6-11")

WORK = {
    "load": (lambda: load("demo", device="cpu").hf, lambda: lens.read(model, short)),
    "read": (lambda: lens.read(model, long), lambda: lens.read(model, short)),
    "generate": (lambda: lens.generate(model, long, "0-2 [3|4] 5-11"), lambda: lens.generate(model, short, "0-11")),
    "plan": (lambda: plan(long), lambda: plan(short)),
    "compare": (lambda: lens.compare_plan(model, long, "0-5"), lambda: lens.compare_plan(model, short, "0-5")),
    "fit": (lambda: fit([long] * 8, 2**34), lambda: fit([short] * 4, 2**34)),
    "sweep": (
        lambda: lens.sweep(model, [long] * 8, ["0 1", "0 2"]),
        lambda: lens.sweep(model, [short, short], ["0 1"]),
    ),
    # fills up after each token: keys and values of the next find no room
    "write": (lambda: lens.generate(model, long, stream=fill), lambda: lens.generate(model, short), 1 << 27),
}

def within(room, work):
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))
    fill()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
    try:
        work()
        return "done"
    except LensError as error:
        return f"LensError: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        hoard.clear()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

for name, (large, small, *room) in WORK.items():
    print("told", json.dumps([name, within(*room or [1 << 20], large), within(1 << 30, small)]), flush=True)
"""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SESSION], env=os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: rest for name, *rest in (json.loads(x[5:]) for x in done.stdout.splitlines() if x[:5] == "told ")}


@pytest.mark.parametrize("work", ["load", "read", "generate", "write", "plan", "compare", "fit", "sweep"])
def test_memory_that_runs_out_is_said_and_the_session_goes_on(told: dict[str, Any], work: str) -> None:
    large, small = told[work]
    assert large.startswith("LensError: ")
    assert "emory" in large
    assert "smaller" in large
    assert small == "done"
