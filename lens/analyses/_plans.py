"""Plans compared with the full model: linear parts of blocks, and true blocks alternating with jumps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from lens._memory import memory_in_words
from lens.analyses._tally import checked_casts, checked_ks, final_plan, tally
from lens.analyses._texts import Batch, Positions, Report
from lens.casts import Maps, cast_named
from lens.errors import LensError, MapsError
from lens.execution import maps_for, outcome
from lens.models import Model, Recording
from lens.numerics import Curves
from lens.plans import PARTS, Plan, best_alternation, even_alternation
from lens.wire import served

__all__ = ["alternation", "submodules"]

LEAST = 1e-6  # what an r² of zero or less counts as in a product


@served()
@memory_in_words
def submodules(
    model: Model,
    texts: Sequence[str],
    *,
    maps: Maps | None = None,
    parts: Sequence[str] = PARTS,
    casts: Sequence[str] = ("mat", "id"),
    ks: Sequence[int] = (1, 5, 10),
    positions: Positions = "one",
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
) -> Curves:
    """ℓ true blocks, then all later ones with one part linear at every position, beside the casts ("Jump to
    Conclusions", section 6): for each part and cast, Precision@k and the other measures of `Curves` by ℓ.

    The later blocks keep their residuals and other parts. MapsError for a part without maps; TextError, LensError.
    """
    maps, n_blocks = maps_for(model, maps), model.n_blocks
    parts = tuple(parts) if isinstance(parts, Iterable) and not isinstance(parts, str) else parts
    if not isinstance(parts, tuple) or not parts or not all(part in PARTS for part in parts):
        raise LensError(f"parts is {parts!r}: give a list of {', '.join(PARTS)}.")
    for part in parts:
        if maps is None or maps.parts.get(part, frozenset()) != frozenset(range(n_blocks)):
            raise MapsError(
                f"Maps of ~{part} for every block are needed. Fit them with lens.fit(model, texts, parts=[{part!r}])."
            )
    layers = range(n_blocks + 1)
    shown = checked_casts(casts, maps, layers, n_blocks) if casts else ()
    plans = {f"~{part}": [_linear_from(layer, part, n_blocks) for layer in layers] for part in parts}
    plans |= {cast: [_read_at(cast, layer, n_blocks) for layer in layers] for cast in shown}
    return _compared(model, texts, maps, plans, ks, positions, seed, corpus, progress, "linear parts")


@served()
@memory_in_words
def alternation(
    model: Model,
    texts: Sequence[str],
    *,
    maps: Maps | None = None,
    cast: str = "mat",
    ks: Sequence[int] = (1, 5, 10),
    positions: Positions = "one",
    seed: int = 0,
    corpus: str = "unnamed",
    progress: Report | None = None,
) -> Curves:
    """True blocks and jumps interleaved, by the number of true blocks: "round-robin" spreads them evenly, "by r²" takes
    the path whose jumps have the greatest product of held-out r²; beside it all true blocks first, then one jump.

    The plans are in the result. Needs maps of all pairs with their scores: MapsError otherwise; TextError, LensError.
    """
    maps, n_blocks = maps_for(model, maps), model.n_blocks
    cast_named(cast)
    scores = {} if maps is None else maps.card.scores.get(cast, {})
    held = frozenset() if maps is None else maps.pairs.get(cast, frozenset())
    scored = all("stream" in scores.get(f"{source}>{target}", ()) for source, target in held)
    if maps is None or len(held) != n_blocks * (n_blocks + 1) // 2 or not scored:
        raise MapsError(
            f"Scored {cast} maps of all pairs of layers are needed. "
            f"Fit them with lens.fit(model, texts, kind={cast!r})."
        )
    weights = {
        (source, target): math.log(max(LEAST, scores[f"{source}>{target}"]["stream"][0] or 0.0))
        for source, target in held
    }
    true = range(n_blocks + 1)
    plans = {
        "round-robin": [even_alternation(n_blocks, count, cast) for count in true],
        "by r²": [best_alternation(n_blocks, count, cast, weights) for count in true],
        cast: [_read_at(cast, count, n_blocks) for count in true],
    }
    return _compared(model, texts, maps, plans, ks, positions, seed, corpus, progress, "alternation")


def _linear_from(layer: int, part: str, n_blocks: int) -> Plan:
    before = f"0-{layer - 1}" if layer else ""
    after = f"{layer}-{n_blocks - 1}~{part}" if layer < n_blocks else ""
    return Plan.parse(f"{before} {after}".strip())


def _read_at(cast: str, layer: int, n_blocks: int) -> Plan:
    return Plan.parse(final_plan(cast, layer, n_blocks, n_blocks))


def _compared(
    model: Model,
    texts: Sequence[str],
    maps: Maps | None,
    plans: dict[str, list[Plan]],
    ks: Sequence[int],
    positions: Positions,
    seed: int,
    corpus: str,
    progress: Report | None,
    stage: str,
) -> Curves:
    def finals(recording: Recording, batch: Batch) -> Iterator[tuple[int, int, Tensor]]:
        for method, row in enumerate(plans.values()):
            for layer, plan in enumerate(row):
                yield method, layer, batch.take(outcome(recording, plan, maps=maps))

    ks, shape = checked_ks(ks, model.vocab_size), (len(plans), model.n_blocks + 1)
    found = tally(model, texts, finals, shape, ks, positions=positions, seed=seed, progress=progress, stage=stage)
    written = [[str(plan) for plan in row] for row in plans.values()]
    return found.curves(model, corpus, tuple(plans), range(model.n_blocks + 1), ks, written)
