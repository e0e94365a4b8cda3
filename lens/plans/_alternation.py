"""Plans in which true blocks and jumps take turns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from lens.errors import PlanError
from lens.plans._plan import Plan
from lens.plans._stages import Blocks, Jump, Stage

__all__ = ["best_alternation", "even_alternation"]

Step = tuple[int, int, bool]  # from a layer to a layer, by a true block or by a jump


def even_alternation(n_blocks: int, true: int, cast: str) -> Plan:
    """`true` of the blocks run, spread as evenly as can be; each gap between them is one jump.

    Weighted round-robin: block b is true where ⌊(b + 1) · true / n_blocks⌋ exceeds ⌊b · true / n_blocks⌋.
    """
    _check(n_blocks, true)
    runs = [(b + 1) * true // n_blocks > b * true // n_blocks for b in range(n_blocks)]
    return _plan([(b, b + 1, run) for b, run in enumerate(runs)], cast)


def best_alternation(n_blocks: int, true: int, cast: str, weights: Mapping[tuple[int, int], float]) -> Plan:
    """Of all paths with `true` blocks and jumps between them, the one whose jumps' `weights` have the greatest sum.

    A weight is that of (source, target), such as the logarithm of a jump's r²; a pair without one is not used. Found
    by dynamic programming over (layer, blocks run, whether a jump came last), as no two jumps follow one another.
    """
    _check(n_blocks, true)
    best: dict[tuple[int, int, bool], tuple[float, tuple[Step, ...]]] = {(0, 0, False): (0.0, ())}
    for layer in range(n_blocks):
        for count in range(true + 1):
            for jumped in (False, True):
                if (layer, count, jumped) not in best:
                    continue
                total, path = best[layer, count, jumped]
                if count < true:
                    _keep(best, (layer + 1, count + 1, False), total, (*path, (layer, layer + 1, True)))
                for target in () if jumped else range(layer + 1, n_blocks + 1):
                    gain = weights.get((layer, target), -math.inf)
                    _keep(best, (target, count, True), total + gain, (*path, (layer, target, False)))
    ends = [best[key] for jumped in (False, True) if (key := (n_blocks, true, jumped)) in best]
    return _plan(max(ends, key=lambda end: end[0])[1], cast)


def _keep(
    best: dict[tuple[int, int, bool], tuple[float, tuple[Step, ...]]],
    key: tuple[int, int, bool],
    total: float,
    path: tuple[Step, ...],
) -> None:
    if key not in best or total > best[key][0]:
        best[key] = total, path


def _plan(steps: Iterable[Step], cast: str) -> Plan:
    """Neighbouring blocks become one range, neighbouring gaps one jump."""
    merged: list[Step] = []
    for start, end, run in steps:
        if merged and merged[-1][2] == run:
            merged[-1] = merged[-1][0], end, run
        else:
            merged.append((start, end, run))
    stages: list[Stage] = [Blocks(start, end - 1) if run else Jump(cast, start, end) for start, end, run in merged]
    return Plan(tuple(stages))


def _check(n_blocks: int, true: int) -> None:
    if not 0 <= true <= n_blocks:
        raise PlanError(f"{true} of {n_blocks} blocks cannot run: choose 0 to {n_blocks}")
