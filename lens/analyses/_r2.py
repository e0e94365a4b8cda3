"""Held-out r² of maps, in one streaming pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._chosen import chosen_casts
from lens.analyses._texts import Positions, Progress, Report, checked_texts
from lens.analyses._vectors import Vectors, gathered
from lens.casts import Maps, cast_named
from lens.errors import LensError
from lens.execution import maps_for
from lens.models import Model
from lens.numerics import R2, VARIANTS, Estimate, Pair, Residuals, Site
from lens.wire import served

__all__ = ["Scores", "card_scores", "r2", "residuals_of"]

Predict: TypeAlias = Callable[[str, Pair, Tensor], Tensor]  # (label, pair, source vectors) -> predicted vectors
# cast or part → pair or block → variant → (r², standard error), as a card holds them
Scores: TypeAlias = dict[str, dict[str, dict[str, list[float | None]]]]


@served()
@memory_in_words
def r2(
    model: Model,
    texts: Sequence[str],
    *,
    maps: Maps | None = None,
    casts: Sequence[str] = ("id", "mat"),
    positions: Positions = "one",
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
) -> R2:
    """Held-out r² of every pair of boundaries that the maps hold, for each of `casts`, on `texts`, one sentence each.

    With standard errors over sentences, for the stream, without position 0, and for its update; see `R2`. `id` is
    scored on the pairs of the others, or alone on all. Raises TextError, MapsError or LensError in words.
    """
    texts, casts = checked_texts(texts), chosen_casts(casts)
    held = {cast: _pairs_of(model, cast, maps := maps_for(model, maps)) for cast in casts}
    fitted = [pair for cast in casts if cast_named(cast).fitted for pair in held[cast]]
    labels: dict[Pair, list[str]] = {}
    for cast in casts:
        for pair in held[cast] if cast_named(cast).fitted or not fitted else dict.fromkeys(fitted):
            labels.setdefault(pair, []).append(cast)

    def predict(cast: str, pair: Pair, vectors: Tensor) -> Tensor:
        kind = cast_named(cast)
        return kind.apply(vectors, **(maps.tensors(cast, *_ends(pair), vectors.device) if maps and kind.fitted else {}))

    start = Progress("score", 0, len(texts), 0, 0.0)
    residuals = residuals_of(
        model, texts, labels, predict, positions=positions, seed=seed, report=progress, start=start
    )
    return R2(
        model=model.name,
        corpus=corpus,
        casts=casts,
        n_blocks=model.n_blocks,
        variants=tuple(VARIANTS),
        values=_values(residuals, labels, casts, model.n_blocks),
        sentences=residuals.sentences,
        tokens=residuals.count,
    )


def residuals_of(
    model: Model,
    texts: Sequence[str],
    labels: Mapping[Pair, Sequence[str]],
    predict: Predict,
    *,
    parts: Sequence[str] = (),
    positions: Positions,
    seed: int,
    report: Report | None,
    start: Progress,
    first: int = 0,
) -> Residuals:
    """Residuals of what `predict` says for each pair under each of its labels, over texts numbered from `first`."""
    residuals = Residuals(model.width)
    sites: tuple[Site, ...] = tuple(dict.fromkeys(site for pair in labels for site in pair))

    def predictions(chunk: Vectors) -> Iterator[tuple[str, Pair, Tensor]]:
        for pair, names in labels.items():
            for label in names:
                yield label, pair, predict(label, pair, chunk.at[pair[0]])

    for chunk in gathered(
        model, texts, sites, parts=parts, positions=positions, seed=seed, report=report, start=start, first=first
    ):
        residuals.update(chunk.at, chunk.sentences, chunk.positions, predictions(chunk))
    return residuals


def card_scores(residuals: Residuals, labels: Mapping[Pair, Sequence[str]]) -> Scores:
    """The scores as a card holds them; parts of blocks have no update, as they are none of the stream."""
    scores: Scores = {}
    for pair, names in labels.items():
        source, target = pair
        part = isinstance(source, str)
        key = f"{source}".removesuffix(".in").partition(".")[2] if part else f"{source}>{target}"
        for label in names:
            scores.setdefault(label, {})[key] = {
                variant: [_number(estimate.value), _number(estimate.error)]
                for variant in VARIANTS
                if not (part and variant == "update")
                for estimate in [residuals.r2(label, pair, variant)]
            }
    return scores


def _pairs_of(model: Model, cast: str, maps: Maps | None) -> list[tuple[int, int]]:
    if not cast_named(cast).fitted:
        return [(i, j) for i in range(model.n_blocks) for j in range(i + 1, model.n_blocks + 1)]
    held = sorted(maps.pairs.get(cast, ())) if maps else []
    if not held:
        raise LensError(
            f"There are no {cast} maps for {model.name}. Fit them with lens.fit(model, texts, kind={cast!r})."
        )
    return held


def _ends(pair: Pair) -> tuple[int, int]:
    source, target = pair
    return int(source), int(target)


def _values(
    residuals: Residuals, labels: Mapping[Pair, Sequence[str]], casts: tuple[str, ...], n_blocks: int
) -> Estimate:
    shape = len(VARIANTS), len(casts), n_blocks + 1, n_blocks + 1
    value, error = np.full(shape, np.nan), np.full(shape, np.nan)
    layers = np.arange(n_blocks + 1)
    value[:, :, layers, layers], error[:, :, layers, layers] = 1.0, 0.0
    for pair, names in labels.items():
        for label in names:
            for place, variant in enumerate(VARIANTS):
                at = (place, casts.index(label), *_ends(pair))
                estimate = residuals.r2(label, pair, variant)
                value[at], error[at] = estimate.value, estimate.error
    return Estimate(value, error)


def _number(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
