"""The latency of parallel stages, measured."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from lens._memory import memory_in_words
from lens.casts import Maps
from lens.errors import LensError
from lens.execution import alike, execute, prepared
from lens.models import Model
from lens.numerics import Estimate, Latency
from lens.plans import Parallel, Plan
from lens.wire import served

__all__ = ["latency"]

MAX_ROUNDS = 10_000


@served()
@memory_in_words
def latency(model: Model, text: str, plan: str | Plan, *, maps: Maps | None = None, rounds: int = 20) -> Latency:
    """How long `plan` takes on `text` beside the full model: parallel blocks in turn, and batched where they can be.

    The three take turns, `rounds` times, after one round that is not counted; embeddings and head are left out. So is
    stacking the weights, which is done once a stage. Raises PlanError, MapsError, TextError, LensError.
    """
    if type(rounds) is not int or not 2 <= rounds <= MAX_ROUNDS:
        raise LensError(f"rounds is {rounds!r}: give a whole number from 2 to {MAX_ROUNDS:,}.")
    plan, maps = prepared(model, plan, maps)
    recording = model.record(model.encode(text), head=False)
    stages = [stage for stage in plan.flat if isinstance(stage, Parallel)]
    ways = {"full": (recording, Plan.full(model.n_blocks)), "turn": (recording, plan)}
    if any(alike(recording, stage, recording.streams[0]) for stage in stages):
        ways["batched"] = replace(recording, batched=True), plan
    ends = {name: execute(on, what, maps=maps)[-1] for name, (on, what) in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (on, what) in ways.items():
            begin = time.perf_counter()
            execute(on, what, maps=maps)
            model.wait()
            seconds[name].append(time.perf_counter() - begin)
    difference = None
    if "batched" in ends:
        difference = float((ends["batched"] - ends["turn"]).abs().max() / ends["turn"].abs().max())
    return Latency(
        model=model.name,
        plan=str(plan),
        device=str(model.device),
        threads=torch.get_num_threads(),
        tokens=recording.ids.shape[1],
        rounds=rounds,
        applications=plan.applications,
        depth=plan.depth,
        full=float(np.median(seconds["full"])),
        turn=_ratio(seconds["turn"], seconds["full"]),
        batched=_ratio(seconds["batched"], seconds["full"]) if "batched" in seconds else None,
        difference=difference,
    )


def _ratio(times: list[float], full: list[float]) -> Estimate:
    """The geometric mean of the rounds' ratios."""
    logs = np.log(np.array(times) / np.array(full))
    mean = np.exp(logs.mean())
    return Estimate(np.asarray(mean), np.asarray(mean * logs.std(ddof=1) / np.sqrt(len(logs))))
