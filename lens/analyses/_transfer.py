"""Maps fitted on one corpus, scored on another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lens._memory import memory_in_words
from lens.analyses._curves import cast_tally
from lens.analyses._fit import fit, split
from lens.analyses._tally import Tally, final_plan
from lens.analyses._texts import Positions, Report
from lens.casts import Maps, cast_named
from lens.errors import LensError
from lens.models import Model
from lens.numerics import Estimate, Transfer, ratio
from lens.wire import served

__all__ = ["transfer"]

KS = (1, 5, 10)


@served()
@memory_in_words
def transfer(
    model: Model,
    corpora: Mapping[str, Sequence[str]],
    *,
    kind: str = "mat",
    holdout: float = 0.1,
    positions: Positions = "one",
    seed: int = 0,
    progress: Report | None = None,
    ridge: float = 0.0,
    rank: int | None = None,
) -> Transfer:
    """Fit maps to the last layer on the training part of each corpus, and score them on the held-out part of each.

    `corpora` are two or more lists of sentences by name; `ridge`, `rank` are the kinds' options. TextError, LensError.
    """
    cast_named(kind)
    if not isinstance(corpora, Mapping) or len(corpora) < 2:
        raise LensError("A transfer needs two corpora or more, as {name: sentences}.")
    parts = {name: split(texts, holdout, seed) for name, texts in corpora.items()}
    maps = [
        fit(
            model,
            train,
            kind=kind,
            pairs="final",
            positions=positions,
            holdout=held,
            seed=seed,
            corpus=name,
            progress=progress,
            ridge=ridge,
            rank=rank,
        )
        for name, (train, held) in parts.items()
    ]
    held = [held for _, held in parts.values()]
    tallies = [[_scored(model, texts, each, kind, positions, seed, progress) for texts in held] for each in maps]
    names, layers = tuple(map(str, corpora)), range(model.n_blocks + 1)
    plans = [[final_plan(kind, layer, model.n_blocks, model.n_blocks) for layer in layers]]
    curves = tuple(
        tuple(found.curves(model, names[b], [kind], layers, KS, plans) for b, found in enumerate(row))
        for row in tallies
    )
    return Transfer(model.name, kind, names, curves, _changes(tallies))


def _scored(
    model: Model, texts: Sequence[str], maps: Maps, kind: str, positions: Positions, seed: int, progress: Report | None
) -> Tally:
    return cast_tally(model, texts, maps, [kind], model.n_blocks, KS, positions, seed, progress)


def _changes(tallies: Sequence[Sequence[Tally]]) -> Estimate:
    """P@1, mean over all layers but the last, less that of the maps of the scored corpus; paired by sentence."""

    def hits(found: Tally) -> np.ndarray:
        mean: np.ndarray = found.hits[:, 0, :-1, 0, 0].mean(1)
        return mean

    count = len(tallies)
    found = [
        [ratio(hits(tallies[a][b]) - hits(tallies[b][b]), tallies[b][b].counts[:, 0]) for b in range(count)]
        for a in range(count)
    ]
    value, error = (np.array([[getattr(each, name) for each in row] for row in found]) for name in ("value", "error"))
    return Estimate(value, error)
