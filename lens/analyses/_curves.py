"""Precision@k, surprisal, KL and entropy of every layer under each cast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._tally import Binned, Finals, Tally, checked_casts, checked_ks, chunks, final_plan, tally
from lens.analyses._texts import Batch, Positions, Progress, Report, checked_texts, stepwise
from lens.casts import Maps
from lens.errors import LensError
from lens.execution import apply_cast, execute, maps_for
from lens.models import Model, Recording
from lens.numerics import Curves
from lens.plans import Blocks, Plan
from lens.wire import served

__all__ = ["By", "by_position", "cast_tally", "curves"]

By = Literal["position", "frequency"]
QUARTERS = (0.25, 0.5, 0.75)


@served()
@memory_in_words
def curves(
    model: Model,
    texts: Sequence[str],
    *,
    maps: Maps | None = None,
    casts: Sequence[str] = ("id", "mat"),
    target: int | None = None,
    ks: Sequence[int] = (1, 5, 10),
    by: By | None = None,
    positions: Positions = "one",
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
) -> Curves:
    """How well each layer, cast to `target` (the last) and carried on by the real blocks, foretells the model's output.

    Over held-out `texts`, one sentence each; the tokens that count are chosen by `positions` as in `lens.fit`. `by`
    breaks the means down by the token's position, or by how often the model's own top-1 is predicted in these texts
    (in quarters of the tokens). See `Curves` for the measures. Raises TextError, MapsError or LensError in words.
    """
    texts, ks = checked_texts(texts), checked_ks(ks, model.vocab_size)
    n_blocks = model.n_blocks
    target = n_blocks if target is None else target
    if type(target) is not int or not 0 <= target <= n_blocks:
        raise LensError(f"The target layer is {target!r}; here it is a whole number from 0 to {n_blocks}.")
    maps = maps_for(model, maps)
    casts, layers = checked_casts(casts, maps, range(target + 1), target), range(target + 1)
    binned, names = _bins(model, texts, by, positions, seed, progress)
    found = cast_tally(model, texts, maps, casts, target, ks, positions, seed, progress, binned=binned, bins=len(names))
    plans = [[final_plan(cast, layer, target, n_blocks) for layer in layers] for cast in casts]
    return found.curves(model, corpus, casts, layers, ks, plans, names)


def cast_tally(
    model: Model,
    texts: Sequence[str],
    maps: Maps | None,
    casts: Sequence[str],
    target: int,
    ks: Sequence[int],
    positions: Positions,
    seed: int,
    progress: Report | None,
    *,
    binned: Binned | None = None,
    bins: int = 1,
) -> Tally:
    """The sums from which the curves of casts are made."""
    shape = len(casts), target + 1
    finals = _finals(model, casts, target, maps)
    return tally(
        model,
        texts,
        finals,
        shape,
        ks,
        positions=positions,
        seed=seed,
        progress=progress,
        stage="curves",
        binned=binned,
        bins=bins,
    )


def _finals(model: Model, casts: Sequence[str], target: int, maps: Maps | None) -> Finals:
    n_blocks = model.n_blocks
    onwards = Plan((Blocks(target, n_blocks - 1),)) if target < n_blocks else None

    def finals(recording: Recording, batch: Batch) -> Iterator[tuple[int, int, Tensor]]:
        for method, cast in enumerate(casts):
            for source in range(target + 1):
                stream = recording.streams[source]
                if onwards is None:  # nothing mixes positions any more: cast only those that count
                    yield method, source, apply_cast(cast, source, target, batch.take(stream), maps)
                else:
                    jumped = apply_cast(cast, source, target, stream, maps)
                    yield method, source, batch.take(execute(recording, onwards, stream=jumped)[-1])

    return finals


def _bins(
    model: Model, texts: Sequence[str], by: By | None, positions: Positions, seed: int, progress: Report | None
) -> tuple[Binned | None, list[str]]:
    """Which bin each token is in, and what the bins are called."""
    if by is None:
        return None, ["all"]
    if by == "position":
        return by_position(model)
    if by == "frequency":
        return _by_frequency(model, texts, positions, seed, progress)
    raise LensError(f'by is {by!r}: give "position", "frequency", or leave it out.')


def by_position(model: Model) -> tuple[Binned, list[str]]:
    """Position 0 alone, then ranges that double."""
    edges = [0, 1, 4]
    while edges[-1] * 2 < min(model.context or 4096, 4096):
        edges.append(edges[-1] * 2)
    names = ["0", *(f"{low}–{high - 1}" for low, high in pairwise(edges[1:])), f"{edges[-1]}–"]
    bounds = torch.tensor(edges[1:])
    return lambda batch, _: torch.bucketize(batch.positions, bounds, right=True), names


def _by_frequency(
    model: Model, texts: Sequence[str], positions: Positions, seed: int, progress: Report | None
) -> tuple[Binned, list[str]]:
    counts = torch.zeros(model.vocab_size, dtype=torch.int64)
    for batch in stepwise(model, texts, positions, seed, progress, Progress("count", 0, len(texts), 0, 0.0)):
        last = batch.take(model.record(batch.tokens, head=False).streams[-1])
        for part in chunks(model, last):
            counts += torch.bincount(model.unembed(part).argmax(-1).cpu(), minlength=model.vocab_size)
    each = np.repeat(counts[counts > 0].numpy(), counts[counts > 0].numpy())  # the count of each token that counts
    edges = sorted({int(edge) for edge in np.quantile(each, QUARTERS, method="nearest")} - {int(each.max())})
    bounds = [0, *edges, int(each.max())]
    names = [f"{low + 1:,}–{high:,} times" for low, high in pairwise(bounds)]
    upper = torch.tensor(edges, dtype=torch.int64)
    return lambda _, top: torch.bucketize(counts[top], upper), names
