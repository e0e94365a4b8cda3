"""Leaving the model at the first layer that is sure enough."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._chosen import whole_number
from lens.analyses._tally import checked_casts, chunks
from lens.analyses._texts import Batch, Positions, Progress, Report, batches, checked_texts, pace, stepwise
from lens.casts import Maps
from lens.errors import LensError
from lens.execution import apply_cast, maps_for
from lens.models import Model, Recording
from lens.numerics import EarlyExit, Estimate, ExitTimes, ratio, top_1
from lens.wire import served

__all__ = ["LAMBDAS", "early_exit", "exit_layers", "exit_threshold", "exit_times"]

# the paper's values; it gives `id` alone the finer steps above 1, here every cast has them
LAMBDAS = tuple(sorted({-1.112, *(k / 10 for k in range(11)), *np.linspace(1, 1.112, 11).round(6).tolist()}))
MASKED_POSITION = 3  # what the paper's code puts for t where a model fills masks


def exit_threshold(lam: float, position: ArrayLike, length: float) -> NDArray[np.float64]:
    """Confidence above which a token leaves: 0.9 λ + 0.1 exp(−4 t / N) (CALM, Schuster et al. 2022, eq. 5)."""
    decay = np.exp(-4 * np.asarray(position, np.float64) / length)
    return np.asarray(0.9 * lam + 0.1 * decay)


def exit_layers(confidence: NDArray[np.floating], threshold: NDArray[np.floating]) -> NDArray[np.int64]:
    """The layer (N,) at which each token leaves, from its `confidence` (N, L+1) at every layer and threshold (N,).

    The first layer from 1 on whose confidence exceeds the threshold; nobody leaves at layer 0, everybody at layer L.
    """
    enough = confidence > threshold[:, None]
    enough[:, 0], enough[:, -1] = False, True
    return np.asarray(enough.argmax(1), np.int64)


@served()
@memory_in_words
def early_exit(
    model: Model,
    texts: Sequence[str],
    *,
    maps: Maps | None = None,
    casts: Sequence[str] = ("id", "mat"),
    lambdas: Sequence[float] = LAMBDAS,
    positions: Positions = "one",
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
) -> EarlyExit:
    """Layers run and agreement kept when tokens leave by confidence p₁ − p₂ after the jump to the last layer, for all
    of `lambdas` from one table of (confidence, agreement) by token and layer; beside leaving at one layer for all.

    Over held-out `texts`; the tokens that count are chosen by `positions`. A masked model's threshold has the constant
    t = 3, as in the paper's code. Raises TextError, MapsError or LensError in words.
    """
    texts = checked_texts(texts)
    lambdas = _checked_lambdas(lambdas)
    maps, n_blocks = maps_for(model, maps), model.n_blocks
    casts = checked_casts(casts, maps, range(n_blocks + 1), n_blocks)
    table = _table(model, texts, maps, casts, positions, seed, progress)
    length = float((table.positions + 1).mean())
    at = table.positions if model.kind == "causal" else np.full_like(table.positions, MASKED_POSITION)
    rows = [[_left(table, c, exit_threshold(lam, at, length)) for lam in lambdas] for c in range(len(casts))]
    return EarlyExit(
        model=model.name,
        corpus=corpus,
        n_blocks=n_blocks,
        casts=casts,
        lambdas=(lambdas,) * len(casts),
        layers=_stack([[row[0] for row in line] for line in rows]),
        precision=_stack([[row[1] for row in line] for line in rows]),
        exits=np.array([[row[2] for row in line] for line in rows]),
        fixed=_stack(
            [[table.mean(table.agrees[c, :, layer]) for layer in range(n_blocks + 1)] for c in range(len(casts))]
        ),
        length=length,
        sentences=len(texts),
        tokens=len(table.positions),
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """For C casts, N tokens and L+1 layers: how sure, and whether the prediction is the model's own."""

    confidence: NDArray[np.float32]  # (C, N, L+1)
    agrees: NDArray[np.bool_]  # (C, N, L+1)
    positions: NDArray[np.int64]  # (N,)
    sentences: NDArray[np.int64]  # (N,)
    count: int  # sentences

    def mean(self, values: NDArray[np.generic]) -> Estimate:
        """Mean over tokens of values (N,), with its error over sentences."""
        sums, counts = (np.bincount(self.sentences, weights, self.count) for weights in (values, None))
        return ratio(sums, counts)


def _table(
    model: Model,
    texts: Sequence[str],
    maps: Maps | None,
    casts: Sequence[str],
    positions: Positions,
    seed: int,
    progress: Report | None,
) -> _Table:
    parts: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = []
    seen: list[Batch] = []
    start = Progress("early exit", 0, len(texts), 0, 0.0)
    for batch in stepwise(model, texts, positions, seed, progress, start, most=pace(progress)):
        recording = model.record(batch.tokens, head=False)
        parts.append(_confidences(model, recording, batch, casts, maps))
        seen.append(batch)
    confidence = np.concatenate([sure for sure, _ in parts], axis=1)
    agrees = np.concatenate([right for _, right in parts], axis=1)
    places, sentences = (torch.cat([getattr(b, name) for b in seen]).numpy() for name in ("positions", "sentences"))
    return _Table(confidence, agrees, places, sentences, len(texts))


def _confidences(
    model: Model, recording: Recording, batch: Batch, casts: Sequence[str], maps: Maps | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    last = len(recording.streams) - 1
    own = _top(model, batch.take(recording.streams[last]))[1]
    shape = len(casts), len(own), last + 1
    confidence, agrees = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    for c, cast in enumerate(casts):
        for layer, stream in enumerate(recording.streams):
            sure, token = _top(model, apply_cast(cast, layer, last, batch.take(stream), maps))
            confidence[c, :, layer], agrees[c, :, layer] = sure, (token == own) & (own >= 0)
    return confidence, agrees


def _top(model: Model, vectors: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """p₁ − p₂ and the top-1 of vectors (N, width) at the last boundary."""
    found = []
    for part in chunks(model, vectors):
        logits = model.unembed(part).float()
        first = torch.topk(logits, 2).values
        share = (first - logits.logsumexp(-1, keepdim=True)).exp()
        found.append((share[:, 0] - share[:, 1], top_1(logits)))
    sure, token = (torch.cat([each[which] for each in found]).cpu() for which in (0, 1))
    return sure.numpy(), token.numpy()


def _left(table: _Table, cast: int, threshold: NDArray[np.float64]) -> tuple[Estimate, Estimate, NDArray[np.float64]]:
    layers = exit_layers(table.confidence[cast], threshold)
    kept = table.agrees[cast, np.arange(len(layers)), layers]
    shares = np.bincount(layers, minlength=table.confidence.shape[2]) / len(layers)
    return table.mean(layers), table.mean(kept), shares


def _stack(rows: Sequence[Sequence[Estimate]]) -> Estimate:
    value, error = (np.array([[getattr(each, name) for each in row] for row in rows]) for name in ("value", "error"))
    return Estimate(value, error)


def _checked_lambdas(lambdas: Sequence[float]) -> tuple[float, ...]:
    given = list(lambdas) if isinstance(lambdas, Iterable) else []
    numbers = [lam for lam in given if isinstance(lam, (int, float)) and math.isfinite(lam)]
    if not numbers or len(numbers) != len(given):
        raise LensError(f"lambdas is {lambdas!r}: give numbers, such as (0.5, 0.9, 1.0).")
    return tuple(sorted(float(lam) for lam in numbers))


@served()
@memory_in_words
def exit_times(
    model: Model,
    texts: Sequence[str],
    threshold: float,
    *,
    cast: str = "mat",
    maps: Maps | None = None,
    sentences: int = 200,
    seed: int = 0,
    progress: Report | None = None,
) -> ExitTimes:
    """What leaving early at λ = `threshold` takes in seconds, measured sentence by sentence beside the full model.

    Both run the same blocks on the whole sentence, one by one; leaving early looks at the vocabulary after each block
    from the first, at the token that counts, which is that of `early_exit`; what comes after it is not read, but by a
    masked model. They take turns, so that a busy machine slows both alike. The first `sentences` of the texts are used.
    Raises TextError, MapsError or LensError in words.
    """
    texts = checked_texts(texts)[: whole_number("sentences", sentences, 1)]
    (threshold,) = _checked_lambdas([threshold])
    maps, n_blocks = maps_for(model, maps), model.n_blocks
    checked_casts([cast], maps, range(n_blocks + 1), n_blocks)
    drawn = [next(batches(model, [text], "one", seed, first=number)) for number, text in enumerate(texts)]
    length = float(np.mean([int(batch.positions[0]) + 1 for batch in drawn]))
    rows: list[_Timed] = []
    begin = time.monotonic()
    for number, batch in enumerate(drawn):
        position = int(batch.positions[0]) if model.kind == "causal" else MASKED_POSITION
        limit = float(exit_threshold(threshold, position, length))
        rows.append(_timed(model, model.record(batch.tokens, head=False), batch, cast, maps, limit))
        if progress:
            done = Progress("time", number + 1, len(texts), number + 1, time.monotonic() - begin)
            progress(done)
    logs = np.log([row.early / row.full for row in rows])
    error = float(logs.std(ddof=1) / math.sqrt(len(logs))) if len(logs) > 1 else math.nan
    mean = float(np.exp(logs.mean()))
    return ExitTimes(
        cast=cast,
        threshold=threshold,
        device=str(model.device),
        sentences=len(texts),
        full=median(row.full for row in rows),
        early=median(row.early for row in rows),
        ratio=Estimate(np.asarray(mean), np.asarray(mean * error)),
        layers=float(np.mean([row.layers for row in rows])),
        block=median(row.block for row in rows),
        test=median(row.test for row in rows),
    )


@dataclass(frozen=True)
class _Timed:
    full: float  # seconds
    early: float
    layers: int
    block: float
    test: float


def _timed(model: Model, recording: Recording, batch: Batch, cast: str, maps: Maps | None, limit: float) -> _Timed:
    last = model.n_blocks
    begin = time.perf_counter()
    stream = recording.streams[0]
    for block in range(last):
        stream = recording.run_block(block, stream)
    middle = time.perf_counter()
    _top(model, batch.take(stream))
    model.wait()
    end = time.perf_counter()
    full, block_time, test_time = end - begin, (middle - begin) / last, end - middle
    begin = time.perf_counter()
    stream, layer = recording.streams[0], 0
    for layer in range(1, last + 1):
        stream = recording.run_block(layer - 1, stream)
        sure, _ = _top(model, apply_cast(cast, layer, last, batch.take(stream), maps))
        if sure[0] > limit:
            break
    model.wait()
    return _Timed(full, time.perf_counter() - begin, layer, block_time, test_time)
