"""Predictions compared with the model's own, token by token, summed sentence by sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import index

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lens.analyses._at_once import at_once
from lens.analyses._chosen import chosen_casts
from lens.analyses._texts import Batch, Positions, Progress, Report, checked_texts, pace, stepwise
from lens.casts import Maps, cast_named
from lens.errors import LensError
from lens.models import Model, Recording
from lens.numerics import Curves, compare, ratio, top_1

__all__ = ["Finals", "Tally", "checked_casts", "checked_ks", "chunk", "chunks", "final_plan", "tally"]

ON_CPU = 64 * 2**20  # bytes of logits at once

# (method, layer, vectors (N, width) at the last boundary of the tokens that count) for each that is to be compared
Finals = Callable[[Recording, Batch], Iterator[tuple[int, int, Tensor]]]
Binned = Callable[[Batch, Tensor], Tensor]  # (batch, model's own top-1 (N,)) -> bin of each token (N,)


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over the tokens of each sentence; S sentences, M methods, L layers, B bins, K values of k."""

    counts: NDArray[np.float64]  # (S, B) tokens
    hits: NDArray[np.float64]  # (S, M, L, B, K)
    sums: NDArray[np.float64]  # (S, M, L, B, 3): surprisal, KL, entropy

    def curves(
        self,
        model: Model,
        corpus: str,
        methods: Sequence[str],
        layers: Sequence[int],
        ks: Sequence[int],
        plans: Sequence[Sequence[str]],
        bins: Sequence[str] = ("all",),
    ) -> Curves:
        """Means over tokens with standard errors over sentences."""
        counts = self.counts[:, None, None]
        surprisal, kl, entropy = (ratio(self.sums[..., place], counts) for place in range(3))
        return Curves(
            model=model.name,
            corpus=corpus,
            methods=tuple(methods),
            layers=tuple(layers),
            bins=tuple(bins),
            ks=tuple(ks),
            precision=ratio(self.hits, counts[..., None]),
            surprisal=surprisal,
            kl=kl,
            entropy=entropy,
            sentences=len(self.counts),
            tokens=self.counts.sum(0).astype(np.int64),
            plans=tuple(map(tuple, plans)),
        )


def tally(
    model: Model,
    texts: Sequence[str],
    finals: Finals,
    shape: tuple[int, int],
    ks: Sequence[int],
    *,
    positions: Positions,
    seed: int,
    progress: Report | None,
    stage: str,
    binned: Binned | None = None,
    bins: int = 1,
) -> Tally:
    """Compare every final stream with the model's own on the tokens that count, over all texts.

    `progress` is told after each batch, which is then small.
    """
    texts = checked_texts(texts)
    counts = np.zeros((len(texts), bins))
    hits, sums = (np.zeros((len(texts), *shape, bins, last)) for last in (len(ks), 3))
    start = Progress(stage, 0, len(texts), 0, 0.0)
    limits = torch.tensor(ks)
    for batch in stepwise(model, texts, positions, seed, progress, start, most=pace(progress)):
        recording = model.record(batch.tokens, head=False)
        own = _Own(model, batch.take(recording.streams[-1]))
        place = np.zeros(len(batch.rows), int) if binned is None else binned(batch, own.top).numpy()
        sentences = batch.sentences.numpy()
        np.add.at(counts, (sentences, place), 1)
        for method, layer, vectors in finals(recording, batch):
            placed, rest = own.compared(vectors)
            np.add.at(hits[:, method, layer], (sentences, place), (placed[:, None] < limits).numpy())
            np.add.at(sums[:, method, layer], (sentences, place), rest.numpy())
    return Tally(counts, hits, sums)


class _Own:
    """The model's own predictions at some tokens, a chunk of logits at a time."""

    def __init__(self, model: Model, vectors: Tensor) -> None:
        self._model, self._vectors = model, vectors
        # what is small enough is kept, as every method is compared with it
        self._logits = model.unembed(vectors) if len(list(chunks(model, vectors))) == 1 else None
        self._log = None if self._logits is None else torch.log_softmax(self._logits.float(), -1)

    @property
    def top(self) -> Tensor:
        """The model's own top-1 (N,)."""
        logits = [self._model.unembed(part) for part in chunks(self._model, self._vectors)]
        return torch.cat([top_1(part) for part in logits]).cpu()

    def compared(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Place (N,) of the top-1 in the model's own order, and (N, 3) surprisal, KL and entropy."""
        places, rest = [], []
        for own, part in zip(chunks(self._model, self._vectors), chunks(self._model, vectors), strict=True):
            reference = self._model.unembed(own) if self._logits is None else self._logits
            found = compare(self._model.unembed(part), reference, self._log)
            places.append(found.place.cpu())
            rest.append(torch.stack([found.surprisal, found.kl, found.entropy], -1).double().cpu())
        return torch.cat(places), torch.cat(rest)


def chunks(model: Model, vectors: Tensor) -> Iterator[Tensor]:
    """The vectors (N, width) in parts whose logits are alive at once."""
    yield from torch.split(vectors, chunk(model))


def chunk(model: Model) -> int:
    """How many vectors those are."""
    return max(1, at_once(model.device, ON_CPU) // (4 * model.vocab_size))


def final_plan(cast: str, source: int, target: int, n_blocks: int) -> str:
    """What reading `source` under a cast to `target` is, as a plan: `0-3 mat(4>8) 8-11`."""
    before = [f"0-{source - 1}" if source > 1 else "0"] if source else []
    jump = [f"{cast}({source}>{target})"] if source < target else []
    after = [f"{target}-{n_blocks - 1}" if target < n_blocks - 1 else f"{target}"] if target < n_blocks else []
    return " ".join([*before, *jump, *after])


def checked_casts(casts: Sequence[str], maps: Maps | None, sources: Sequence[int], target: int) -> tuple[str, ...]:
    """The casts, if each can go from every source to the target; LensError in words."""
    casts = chosen_casts(casts)
    for cast in casts:
        if cast_named(cast).fitted and not (maps and maps.covers(cast, tuple(sources), target)):
            held = "hold no such map" if maps else "are not there"
            raise LensError(
                f"Maps for {cast} from every layer to layer {target} are needed, and {held}. "
                f"Fit them with lens.fit(model, texts, kind={cast!r})."
            )
    return casts


def checked_ks(ks: Sequence[int], vocabulary: int) -> tuple[int, ...]:
    """The values of k, ascending; LensError unless all are whole numbers from 1 to the vocabulary's size."""
    chosen = tuple(ks) if isinstance(ks, Iterable) else ()
    if not chosen or any(not hasattr(k, "__index__") or not 1 <= index(k) <= vocabulary for k in chosen):
        raise LensError(f"ks is {ks!r}: give whole numbers from 1 to {vocabulary}, such as (1, 5, 10).")
    return tuple(sorted({index(k) for k in chosen}))
