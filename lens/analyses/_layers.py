"""What the layers do: cosines in four versions, influence beside measured loss, norms, massive activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._sweep import judging
from lens.analyses._texts import Batch, Progress, Report, numbered_texts, pace, stepwise
from lens.models import Model, Recording
from lens.numerics import COSINES, Estimate, LayerStats, Massive, ratio
from lens.wire import served

__all__ = ["layers"]

DROPPED = 14  # bits of a float32 that its bin does not tell: a bin is a 512th of a number wide, at most
BINS = 2**31 >> DROPPED


@served()
@memory_in_words
def layers(
    model: Model,
    texts: Sequence[str],
    *,
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
) -> LayerStats:
    """Two passes over `texts`, one sentence each: the mean stream, then every statistic of `LayerStats`.

    Definitions: cosine matrix, "Layers as Painters" (figure 3) and three versions without its confound; Block Influence
    (ShortGPT, Men et al. 2024); angular distance (Gromov et al. 2024); massive activations (Sun et al. 2024). Skipping
    is measured with every later block run on what it then gets. Every token counts; for a masked model one word of each
    sentence is masked, and its loss is at that word. Raises TextError, LensError.
    """
    numbers, texts = zip(*numbered_texts(texts), strict=True)
    means = _means(model, texts, seed, progress)
    sums = _Sums(len(texts), model.n_blocks)
    start = Progress("layers", 0, len(texts), 0, 0.0, 2, 2)
    for batch in stepwise(model, texts, "all", seed, progress, start, most=pace(progress)):
        recording = model.record(batch.tokens, head=False)
        taken = torch.stack([batch.take(stream).float() for stream in recording.streams])  # (L+1, N, width)
        _geometry(sums, batch, taken, means, model.kind == "causal")
        _skips(sums, model, recording, batch, taken)
    return _result(model, corpus, numbers, sums)


class _Sums:
    """Sums over the tokens of each of S sentences."""

    def __init__(self, sentences: int, n_blocks: int) -> None:
        square, last = (sentences, n_blocks + 1, n_blocks + 1), (sentences, n_blocks)
        self.counts = np.zeros(sentences)  # tokens
        self.inner = np.zeros(sentences)  # tokens that are not the first
        self.told = np.zeros(sentences)  # tokens with an answer
        self.angled = np.zeros(sentences)  # tokens whose angle counts
        self.cosines = np.zeros((len(COSINES), *square))
        self.angular = np.zeros(square)
        self.norm = np.zeros((sentences, n_blocks + 1))
        self.update_ratio, self.update_cosine = np.zeros(last), np.zeros(last)
        self.full = np.zeros(sentences)
        self.skipped = np.zeros((*last, 2))  # loss, agreement
        self.effect = np.zeros((sentences, n_blocks, n_blocks))
        self.massive: list[Massive | None] = [None] * (n_blocks + 1)
        self.sizes = np.zeros((n_blocks + 1, BINS), np.int64)  # how many absolute values are in each bin


def _means(model: Model, texts: Sequence[str], seed: int, progress: Report | None) -> Tensor:
    """The mean stream (L+1, 1, width) over all tokens."""
    total, count = torch.zeros(model.n_blocks + 1, model.width, dtype=torch.float64), 0
    start = Progress("means", 0, len(texts), 0, 0.0, 1, 2)
    for batch in stepwise(model, texts, "all", seed, progress, start, most=pace(progress)):
        streams = model.record(batch.tokens, head=False).streams
        total += torch.stack([batch.take(stream).double().sum(0).cpu() for stream in streams])
        count += len(batch.rows)
    return (total / count).float()[:, None]


def _geometry(sums: _Sums, batch: Batch, taken: Tensor, means: Tensor, causal: bool) -> None:
    sentences = batch.sentences.numpy()
    add = _adder(sentences)
    first = (batch.positions == 0).numpy()
    cosine = _cosines(taken)  # (N, L+1, L+1)
    add(sums.counts, np.ones(len(sentences)))
    add(sums.inner, ~first)
    add(sums.cosines[1], cosine)
    add(sums.cosines[2], np.where(first[:, None, None], 0, cosine))
    add(sums.cosines[3], _cosines(taken - means.to(taken.device)))
    last = _last(batch) if causal else np.ones(len(sentences), bool)
    add(sums.angled, last)
    add(sums.angular, np.where(last[:, None, None], np.arccos(np.clip(cosine, -1, 1)) / math.pi, 0))
    norm = taken.norm(dim=-1)
    update = taken[1:] - taken[:-1]
    add(sums.norm, norm.T.double().cpu().numpy())
    add(sums.update_ratio, (update.norm(dim=-1) / norm[:-1]).T.double().cpu().numpy())
    add(sums.update_cosine, torch.cosine_similarity(update, taken[:-1], -1).T.double().cpu().numpy())
    for sentence in np.unique(sentences):
        own = taken[:, torch.from_numpy(sentences == sentence)].flatten(1)
        sums.cosines[0, sentence] = _cosines(own[:, None])[0]
    _massive(sums, batch, taken)


def _cosines(vectors: Tensor) -> NDArray[np.float64]:
    """(N, L+1, L+1) of vectors (L+1, N, width)."""
    unit = torch.nn.functional.normalize(vectors.double(), dim=-1).transpose(0, 1)
    return (unit @ unit.transpose(1, 2)).cpu().numpy()


def _last(batch: Batch) -> NDArray[np.bool_]:
    length = np.array([len(tokens) for tokens in batch.tokens])
    return np.asarray(batch.positions.numpy() == length[batch.rows.numpy()] - 1)


def _massive(sums: _Sums, batch: Batch, taken: Tensor) -> None:
    for layer, stream in enumerate(taken):
        size = stream.abs()
        sums.sizes[layer] += _binned(size)
        place = int(size.argmax())
        row, coordinate = divmod(place, stream.shape[-1])
        value, before = float(stream[row, coordinate]), sums.massive[layer]
        if before is None or abs(value) > abs(before.value):
            tokens = batch.tokens[int(batch.rows[row])]
            position = int(batch.positions[row])
            sums.massive[layer] = Massive(
                layer, value, math.nan, tokens.labels[position], position, coordinate, int(batch.sentences[row])
            )


def _binned(sizes: Tensor) -> NDArray[np.int64]:
    """How many float32 numbers from 0 on are in each of BINS: their bits, as whole numbers, are in the same order."""
    bits = sizes.flatten().contiguous().view(torch.int32) >> DROPPED
    return np.asarray(torch.bincount(bits, minlength=BINS).cpu().numpy())


def _median(counts: NDArray[np.int64]) -> float:
    """The middle of the bin that the median is in, however the numbers came in batches."""
    at = int(np.searchsorted(counts.cumsum(), (counts.sum() + 1) // 2))
    edges = np.array([at, at + 1], np.int32) << DROPPED
    return float(edges.view(np.float32).astype(np.float64).mean())


def _skips(sums: _Sums, model: Model, recording: Recording, batch: Batch, taken: Tensor) -> None:
    """Each block left out in turn: what the later blocks then do, and what the model then loses."""
    add = _adder(batch.sentences.numpy())
    judged = judging(model, batch, batch.take(recording.streams[-1]))
    full = judged(batch.take(recording.streams[-1]))
    told = (batch.answers >= 0).numpy()
    add(sums.told, told)
    add(sums.full, full[:, 0])
    updates = taken[1:] - taken[:-1]
    size = updates.norm(dim=-1)
    for left_out in range(model.n_blocks):
        stream = recording.streams[left_out]
        for block in range(left_out + 1, model.n_blocks):
            after = recording.run_block(block, stream)
            change = (batch.take(after - stream).float() - updates[block]).norm(dim=-1) / size[block]
            add(sums.effect[:, left_out, block], change.double().cpu().numpy())
            stream = after
        found = judged(batch.take(stream))
        add(sums.skipped[:, left_out], found[:, [0, 2]])


def _adder(sentences: NDArray[np.int64]) -> Callable[[NDArray[Any], NDArray[Any]], None]:
    """A function that adds values of tokens (N, …) to sums of sentences (S, …)."""

    def add(to: NDArray[Any], values: NDArray[Any]) -> None:
        np.add.at(to, sentences, values)

    return add


def _result(model: Model, corpus: str, numbers: Sequence[int], sums: _Sums) -> LayerStats:
    def over(values: NDArray[np.float64], counts: NDArray[np.float64]) -> Estimate:
        return ratio(values, counts.reshape(-1, *[1] * (values.ndim - 1)))

    each = np.ones_like(sums.counts)  # the flattened cosine is one number a sentence
    weights = (each, sums.counts, sums.inner, sums.counts)
    cosines = [over(values, weight) for values, weight in zip(sums.cosines, weights, strict=True)]
    beside = np.arange(model.n_blocks)
    kept = sums.cosines[1][:, beside, beside + 1]
    effect = over(sums.effect, sums.counts)
    below = np.tril(np.ones(effect.value.shape, bool))
    return LayerStats(
        model=model.name,
        corpus=corpus,
        cosines=Estimate(*(np.stack([getattr(c, name) for c in cosines]) for name in ("value", "error"))),
        angular=over(sums.angular, sums.angled),
        norm=over(sums.norm, sums.counts),
        update_ratio=over(sums.update_ratio, sums.counts),
        update_cosine=over(sums.update_cosine, sums.counts),
        influence=over(sums.counts[:, None] - kept, sums.counts),
        skip_change=over(sums.skipped[..., 0] - sums.full[:, None], sums.told),
        skip_agreement=over(sums.skipped[..., 1], sums.counts),
        skip_effect=Estimate(*(np.where(below, np.nan, each) for each in (effect.value, effect.error))),
        massive=tuple(replace(m, median=_median(sums.sizes[m.layer]), text=numbers[m.text]) for m in sums.massive if m),
        sentences=len(numbers),
        tokens=int(sums.counts.sum()),
    )
