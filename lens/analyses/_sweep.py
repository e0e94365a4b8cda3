"""Many plans over the same texts, at the price of what they do not share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lens._limits import DEFAULTS, higher, limit
from lens._memory import memory_in_words
from lens.analyses._chosen import number_of_bytes, whole_number
from lens.analyses._curves import by_position
from lens.analyses._tally import chunk
from lens.analyses._texts import BATCH, Batch, Positions, Progress, Report, batches, checked_texts, pace, stepwise
from lens.casts import Maps
from lens.errors import LensError
from lens.execution import Trie, execute, finals, prepared, trie
from lens.models import Model
from lens.numerics import Estimate, Reference, Sweep, judge, ratio
from lens.plans import Plan
from lens.wire import served

__all__ = ["MAX_PLANS", "Plans", "Row", "judging", "sweep"]

MAX_PLANS = DEFAULTS["plans"]
MEMORY = 256 * 2**20  # bytes of streams alive at once
Row = str | Plan | Sequence[str | Plan]
Plans = Mapping[str, Row] | Sequence[str | Plan]


@served(stays=("memory",))
@memory_in_words
def sweep(
    model: Model,
    texts: Sequence[str],
    plans: Plans,
    *,
    maps: Maps | None = None,
    positions: Positions | None = None,
    by: str | None = None,
    timed: int = 0,
    memory: int = MEMORY,
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
    stream: Callable[[Sweep], None] | None = None,
) -> Sweep:
    """Loss, KL and agreement with the full model of many plans on `texts`, one sentence each, and what they cost.

    `plans` is a list, or a dict from a row's name to a plan or to several whose mean the row is. Equal plans run once,
    and what plans begin with alike runs once, on batches small enough that the streams at forks fit into `memory`
    bytes. Every token counts ("all"), for a masked model one masked token a sentence, any of them ("one").
    `by="position"` breaks the means down. With `timed`, the first plan of each row is also timed on so many of the
    sentences, one by one, beside the full model. `stream` is called with what is known after each batch, which is then
    small; what it raises ends the sweep. Raises PlanError, MapsError, TextError, LensError.
    """
    texts = checked_texts(texts)
    if by not in (None, "position"):
        raise LensError(f'by is {by!r}: give "position", or leave it out.')
    timed, memory = whole_number("timed", timed, 0), number_of_bytes(memory)
    rows, maps = _rows(model, plans, maps)
    binned, bins = by_position(model) if by else (None, ["all"])
    positions = positions or ("all" if model.kind == "causal" else "one")
    asked = list(dict.fromkeys(plan for row in rows.values() for plan in row))
    root = trie(asked)
    sums = _Sums.empty(len(texts), len(asked), len(bins))
    start = Progress("sweep", 0, len(texts), 0, 0.0)
    most = min(_tokens(model, root, memory), pace(stream))
    times = Estimate(np.full(len(rows), np.nan), np.full(len(rows), np.nan))
    for batch in stepwise(model, texts, positions, seed, progress, start, most=most):
        recording = model.record(batch.tokens, head=False)
        place = np.zeros(len(batch.rows), int) if binned is None else binned(batch, batch.answers).numpy()
        judged = judging(model, batch, batch.take(recording.streams[-1]))
        sums.add(batch, place, judged(batch.take(recording.streams[-1])))
        for numbers, last in finals(recording, root, maps=maps):
            sums.add_plans(numbers, batch, place, judged(batch.take(last)))
        if stream:
            stream(_result(model, corpus, rows, asked, bins, sums, root, times, 0))
    texts = texts[:timed]
    if texts:
        times = _times(model, texts, [row[0] for row in rows.values()], maps, positions, seed, progress)
    return _result(model, corpus, rows, asked, bins, sums, root, times, len(texts))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Over the tokens of each sentence; S sentences, P plans, B bins."""

    told: NDArray[np.float64]  # (S, B) tokens with an answer
    counts: NDArray[np.float64]  # (S, B) tokens
    full: NDArray[np.float64]  # (S, B) loss of the full model
    plans: NDArray[np.float64]  # (S, P, B, 3) loss, KL, agreement

    @classmethod
    def empty(cls, sentences: int, plans: int, bins: int) -> _Sums:
        flat = [np.zeros((sentences, bins)) for _ in range(3)]
        return cls(flat[0], flat[1], flat[2], np.zeros((sentences, plans, bins, 3)))

    def add(self, batch: Batch, place: NDArray[np.int64], own: NDArray[np.float64]) -> None:
        """Count a batch, and what the full model loses on it."""
        at = batch.sentences.numpy(), place
        np.add.at(self.counts, at, 1)
        np.add.at(self.told, at, (batch.answers >= 0).numpy())
        np.add.at(self.full, at, own[:, 0])

    def add_plans(self, numbers: list[int], batch: Batch, place: NDArray[np.int64], found: NDArray[np.float64]) -> None:
        """Add what a plan does."""
        for number in numbers:
            np.add.at(self.plans[:, number], (batch.sentences.numpy(), place), found)


def judging(model: Model, batch: Batch, own: Tensor) -> Callable[[Tensor], NDArray[np.float64]]:
    """A function that compares vectors (N, width) with the model's own: (N, 3) loss, KL, agreement; no loss where the
    text has no answer, which adds nothing, while any other NaN stays to be seen.
    """
    size = chunk(model)
    answers = batch.answers.to(own.device)
    kept = Reference.of(model.unembed(own)) if len(own) <= size else None

    def judged(vectors: Tensor) -> NDArray[np.float64]:
        parts = zip(*(torch.split(each, size) for each in (own, vectors, answers)), strict=True)
        found = [
            judge(model.unembed(part), kept or Reference.of(model.unembed(ref)), told) for ref, part, told in parts
        ]
        numbers: NDArray[np.float64] = torch.cat(found).cpu().numpy()
        numbers[batch.answers.numpy() < 0, 0] = 0
        return numbers

    return judged


def _rows(model: Model, plans: Plans, maps: Maps | None) -> tuple[dict[str, list[Plan]], Maps | None]:
    """Each row's plans, checked, with the maps that they need; plans that do the same count as one."""
    listed = [] if isinstance(plans, str) or not isinstance(plans, Iterable) else list(plans)
    named: Mapping[str, Row] = plans if isinstance(plans, Mapping) else {str(plan): plan for plan in listed}
    if not named:
        raise LensError("plans is a list of plans, or a dict from names to plans; there is none.")
    found: dict[str, list[Plan]] = {}
    for name, row in named.items():
        checked = [prepared(model, plan, maps) for plan in _members(row)]
        if not checked:
            raise LensError(f"The row {name!r} has no plan.")
        found[name] = [plan for plan, _ in checked]
        maps = next((held for _, held in checked if held is not None), maps)
    if sum(map(len, found.values())) > (most := limit("plans")):
        raise LensError(f"A sweep runs at most {most:,} plans: give fewer. {higher('plans')}")
    return found, maps


def _members(row: Row) -> Sequence[str | Plan]:
    """The plans of a row; what is neither a plan nor a list of them is refused as a plan."""
    return [row] if isinstance(row, (str, Plan)) or not isinstance(row, Iterable) else row


def _tokens(model: Model, root: Trie, memory: int) -> int:
    """How many tokens a batch may have, so that the streams alive fit into memory, and its logits are kept."""
    streams = root.live + model.n_blocks + 1  # those at forks, and those of the recording
    return int(max(1, min(BATCH, chunk(model), memory // (streams * model.width * model.dtype.itemsize))))


def _result(
    model: Model,
    corpus: str,
    rows: Mapping[str, Sequence[Plan]],
    asked: Sequence[Plan],
    bins: Sequence[str],
    sums: _Sums,
    root: Trie,
    times: Estimate,
    timed: int,
) -> Sweep:
    place = {plan: number for number, plan in enumerate(asked)}
    members = [[place[plan] for plan in row] for row in rows.values()]
    mean = np.stack([sums.plans[:, row].mean(1) for row in members], 1)  # (S, P, B, 3)
    told, counts = sums.told[:, None], sums.counts[:, None]
    single = ratio(sums.plans[..., 0].sum(-1) - sums.full.sum(-1)[:, None], told.sum(-1)).value  # (plans,) change
    cost = sum(plan.applications for plan in asked)
    return Sweep(
        model=model.name,
        corpus=corpus,
        rows=tuple(rows),
        plans=tuple(tuple(map(str, row)) for row in rows.values()),
        bins=tuple(bins),
        full=ratio(sums.full, sums.told),
        loss=ratio(mean[..., 0], told),
        change=ratio(mean[..., 0] - sums.full[:, None], told),
        kl=ratio(mean[..., 1], counts),
        agreement=ratio(mean[..., 2], counts),
        spread=np.array([single[row].std(ddof=1) if len(row) > 1 else np.nan for row in members]),
        applications=np.array([np.mean([plan.applications for plan in row]) for row in rows.values()]),
        depth=np.array([np.mean([plan.depth for plan in row]) for row in rows.values()]),
        time=times,
        timed=timed,
        shared=root.applications / cost if cost else 0.0,
        sentences=int((sums.counts.sum(-1) > 0).sum()),
        tokens=sums.counts.sum(0).astype(np.int64),
    )


def _times(
    model: Model,
    texts: Sequence[str],
    plans: Sequence[Plan],
    maps: Maps | None,
    positions: Positions,
    seed: int,
    progress: Report | None,
) -> Estimate:
    """How long each plan takes beside the full model, sentence by sentence; they take turns, as a machine has moods."""
    full, begun = Plan.full(model.n_blocks), time.monotonic()
    logs = np.zeros((len(texts), len(plans)))
    for number, text in enumerate(texts):
        batch = next(batches(model, [text], positions, seed, first=number))
        recording = model.record(batch.tokens, head=False)

        def seconds(plan: Plan) -> float:
            begin = time.perf_counter()
            model.unembed(batch.take(execute(recording, plan, maps=maps)[-1]))  # noqa: B023 - called in this turn only
            model.wait()
            return time.perf_counter() - begin

        if not number:
            seconds(full)  # the first run of anything is slow
        for place, plan in enumerate(plans):
            logs[number, place] = math.log(seconds(plan) / seconds(full))
        if progress:
            progress(Progress("time", number + 1, len(texts), number + 1, time.monotonic() - begun))
    mean = np.exp(logs.mean(0))
    error = logs.std(0, ddof=1) / math.sqrt(len(logs)) if len(logs) > 1 else np.full(len(plans), np.nan)
    return Estimate(mean, mean * error)
