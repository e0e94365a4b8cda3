"""`lens serve` for real: Ray Serve, its proxy and its replica, which is killed in the middle of work."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

import lens
from lens.analyses import heldout_sentences
from lens.wire import frames
from tests.unit.cluster._asked import MARKS, marked, question, same
from tests.unit.cluster._served import replica, serving

TEXT = "The old man sat by the fire"
PLANS = [f"0-{n} {n + 2}-11" for n in range(8)]


@pytest.mark.flaky(reruns=1)  # Ray gives the processes of a node half a minute to start, whatever else runs
def test_a_served_engine_answers_and_goes_on_after_its_worker_was_killed() -> None:
    here = lens.load("demo")
    texts = heldout_sentences()[:80]
    with serving("demo", "--token", "known-token") as (address, process):
        assert address.endswith("?token=known-token")
        there = lens.load("demo", engine=address)
        assert np.array_equal(lens.read(there, TEXT).kl, lens.read(here, TEXT).kl)
        written: list[str] = []
        done = lens.generate(there, TEXT, max_new_tokens=5, stream=lambda said: written.append(said.text))
        assert done == lens.generate(here, TEXT, max_new_tokens=5)
        assert len(written) == 5

        _ask_at_once(address, here)
        _leave(there, texts)
        _idle(address)

        killed: list[int] = []

        def kill(step: Any) -> None:
            if not killed:
                killed.append(replica(process).pid)
                os.kill(killed[0], signal.SIGKILL)

        found = lens.sweep(there, texts, PLANS, progress=kill)
        expected = lens.sweep(here, texts, PLANS)
        assert killed
        assert np.array_equal(found.loss.value, expected.loss.value)
        assert replica(process).pid != killed[0]
        assert np.array_equal(lens.read(lens.load("demo", engine=address), TEXT).kl, lens.read(here, TEXT).kl)


def _ask_at_once(address: str, here: lens.Model) -> None:
    """Visitors with a mark in each one's text, many at a time: each hears of their own, and it is right."""
    where, _, token = address.partition("?token=")

    def said(mark: str) -> bytes:
        headers = {"Authorization": f"Bearer {token}", "X-Lens-Visitor": f"visitor-{mark}".ljust(16, "-")}
        body = question(here, marked(mark))
        answer = httpx.post(f"{where}ask", content=body, headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 200
        return answer.content

    with ThreadPoolExecutor(len(MARKS)) as visitors:
        answers = list(visitors.map(said, MARKS * 4))
    for mark, answer in zip(MARKS * 4, answers, strict=True):
        assert [each for each in MARKS if each.encode() in answer] == [mark]
        (result,) = [value for kind, value in frames([answer]) if kind == "result"]
        same(result, lens.read(here, marked(mark), casts=("id",), k=5))


def _leave(model: lens.Model, texts: list[str]) -> None:
    """Begin long work, and go."""

    class Leave(Exception):  # noqa: N818
        pass

    def leave(_: Any) -> None:
        raise Leave

    with pytest.raises(Leave):
        lens.painters(model, texts, seeds=10, progress=leave)


def _idle(address: str) -> None:
    """Until the engine has nothing to do, which is long before that work would have been done."""
    health = address.partition("?")[0] + "health"
    for _ in range(1_000):
        if httpx.get(health, trust_env=False).json()["questions"] == 0:
            return
        time.sleep(0.05)
    raise AssertionError("work goes on that nobody waits for")
