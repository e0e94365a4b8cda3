"""What a fit adds up over texts: moments, and held-out residuals. Each can be sent to where the texts are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from lens.analyses._budget import moments_bytes, place_for
from lens.analyses._r2 import residuals_of
from lens.analyses._shards import Shard
from lens.analyses._texts import Positions, Progress, Report
from lens.analyses._vectors import Vectors, gathered
from lens.casts import cast_named
from lens.models import Model
from lens.numerics import Moments, Pair, Residuals

__all__ = ["Scoring", "Summing"]

SILENT = Progress("", 0, 0, 0, 0.0)  # of one shard among many nobody hears


@dataclass(frozen=True)
class Summing:
    """The moments of the vectors at some pairs."""

    pairs: tuple[Pair, ...]
    positions: Positions
    seed: int

    def __call__(self, model: Model, shard: Shard) -> Moments:
        """Those of one shard."""
        place = place_for(model.float64_device, moments_bytes(self.pairs, model.width))
        moments = Moments(self.pairs, model.width, place)
        for chunk in self.chunks(model, shard.texts, moments, first=shard.first):
            moments.update(chunk.at)
        return moments.cpu()

    def chunks(
        self,
        model: Model,
        texts: Sequence[str],
        moments: Moments,
        *,
        report: Report | None = None,
        start: Progress = SILENT,
        skip: int = 0,
        first: int = 0,
    ) -> Iterator[Vectors]:
        """What is to be added to them."""
        return gathered(
            model,
            texts,
            moments.sites,
            parts=_parts_in(self.pairs),
            positions=self.positions,
            seed=self.seed,
            report=report,
            start=start,
            skip=skip,
            first=first,
        )


@dataclass(frozen=True)
class Scoring:
    """The residuals of maps of some casts, and of `id`, and of parts, on held-out texts."""

    pairs: tuple[Pair, ...]
    kinds: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    positions: Positions
    seed: int

    @property
    def labels(self) -> dict[Pair, list[str]]:
        """Under which names each pair is scored."""
        return {
            pair: ["id", *self.kinds] if isinstance(pair[0], int) else [pair[0].split(".")[0]] for pair in self.pairs
        }

    def __call__(self, model: Model, shard: Shard) -> Residuals:
        """Those of one shard."""
        return self.over(model, shard.texts, first=shard.first)

    def over(
        self,
        model: Model,
        texts: Sequence[str],
        *,
        report: Report | None = None,
        start: Progress = SILENT,
        first: int = 0,
    ) -> Residuals:
        """Those of the texts."""
        return residuals_of(
            model,
            texts,
            self.labels,
            self.predict,
            parts=_parts_in(self.pairs),
            positions=self.positions,
            seed=self.seed,
            report=report,
            start=start,
            first=first,
        )

    def predict(self, label: str, pair: Pair, vectors: Tensor) -> Tensor:
        """The targets (N, width) that a pair's map makes of its source's vectors."""
        source, target = pair
        if isinstance(source, str):
            cast, of = cast_named("mat"), source.removesuffix(".in")
        else:
            cast, of = cast_named(label), f"{label}.{source}.{target}"
        return cast.apply(vectors, **{name: self.tensors[f"{of}.{name}"] for name in cast.tensors})


def _parts_in(pairs: Sequence[Pair]) -> list[str]:
    return list(dict.fromkeys(str(source)[1:].split(".")[0] for source, _ in pairs if isinstance(source, str)))
