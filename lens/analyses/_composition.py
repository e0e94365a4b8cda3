"""Whether two maps in a row do what the one map does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._texts import Positions, Progress, Report, checked_texts
from lens.analyses._vectors import Vectors, gathered
from lens.casts import Maps, cast_named
from lens.errors import LensError, MapsError
from lens.execution import maps_for
from lens.models import Model
from lens.numerics import Composition, Estimate, Pair, Residuals, jackknife
from lens.wire import served

__all__ = ["composition"]


@served()
@memory_in_words
def composition(
    model: Model,
    texts: Sequence[str],
    *,
    maps: Maps | None = None,
    cast: str = "mat",
    target: int | None = None,
    positions: Positions = "one",
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
) -> Composition:
    """Held-out r² of going from i to j and from j to `target` (the last layer) beside going straight, for all i < j.

    The error of the loss is that of the difference on the same vectors. Raises MapsError unless the maps hold every
    pair up to the target; TextError, LensError.
    """
    texts, maps = checked_texts(texts), maps_for(model, maps)
    cast_named(cast)
    target = model.n_blocks if target is None else target
    if type(target) is not int or not 2 <= target <= model.n_blocks:
        raise LensError(f"The target layer is {target!r}; here it is a whole number from 2 to {model.n_blocks}.")
    through = [(i, j) for i in range(target) for j in range(i + 1, target)]
    if maps is None or not all(maps.covers(cast, (i,), k) for i, j in through for k in (j, target)):
        raise MapsError(
            f"{cast} maps of all pairs up to layer {target} are needed. "
            f"Fit them with lens.fit(model, texts, kind={cast!r})."
        )
    residuals = _residuals(model, texts, maps, cast, target, positions, seed, progress)
    return _result(model, corpus, residuals, maps, cast, target)


def _residuals(
    model: Model,
    texts: Sequence[str],
    maps: Maps,
    cast: str,
    target: int,
    positions: Positions,
    seed: int,
    progress: Report | None,
) -> Residuals:
    def jump(vectors: Tensor, source: int, end: int) -> Tensor:
        return cast_named(cast).apply(vectors, **maps.tensors(cast, source, end, vectors.device))

    def predictions(chunk: Vectors) -> Iterator[tuple[str, Pair, Tensor]]:
        for source in range(target):
            vectors = chunk.at[source]
            yield "direct", (source, target), jump(vectors, source, target)
            for via in range(source + 1, target):
                yield f"via {via}", (source, target), jump(jump(vectors, source, via), via, target)

    residuals = Residuals(model.width)
    start = Progress("composition", 0, len(texts), 0, 0.0)
    for chunk in gathered(
        model, texts, tuple(range(target + 1)), positions=positions, seed=seed, report=progress, start=start
    ):
        residuals.update(chunk.at, chunk.sentences, chunk.positions, predictions(chunk))
    return residuals


def _result(model: Model, corpus: str, residuals: Residuals, maps: Maps, cast: str, target: int) -> Composition:
    size = model.n_blocks + 1
    direct, composed, loss = (
        Estimate(np.full(shape, np.nan), np.full(shape, np.nan)) for shape in (size, (size, size), (size, size))
    )
    distance = np.full((size, size), np.nan)
    for source in range(target):
        straight = residuals.leave_outs("direct", (source, target))
        _put(direct, source, straight)
        for via in range(source + 1, target):
            around = residuals.leave_outs(f"via {via}", (source, target))
            _put(composed, (source, via), around)
            _put(loss, (source, via), straight - around)
            distance[source, via] = _distance(maps, cast, source, via, target)
    return Composition(
        model=model.name,
        corpus=corpus,
        cast=cast,
        n_blocks=model.n_blocks,
        target=target,
        direct=direct,
        composed=composed,
        loss=loss,
        distance=distance,
        sentences=residuals.sentences,
        tokens=residuals.count,
    )


def _put(into: Estimate, at: int | tuple[int, int], values: np.ndarray) -> None:
    found = jackknife(values[0], values[1:])
    into.value[at], into.error[at] = found.value, found.error


def _distance(maps: Maps, cast: str, source: int, via: int, target: int) -> float:
    """Of the matrices; NaN for a cast that is not one matrix."""
    parts = [maps.tensors(cast, *pair).get("matrix") for pair in ((via, target), (source, via), (source, target))]
    second, first, whole = parts
    if first is None or second is None or whole is None:
        return float("nan")
    return float((second.double() @ first.double() - whole.double()).norm() / whole.double().norm())
