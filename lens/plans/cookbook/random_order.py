"""Random: the window in one random order a seed."""

from __future__ import annotations

import random

from lens.plans._plan import Plan
from lens.plans._recipe import Count, Recipe, stages_between
from lens.plans._stages import Blocks

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int, seed: int) -> Plan:
    """`0-3 6 4 7 5 8-11`; the identity is one of the orders, and likely where the window is short."""
    order = list(range(start, stop))
    random.Random(seed).shuffle(order)  # noqa: S311 - a repeatable permutation
    return stages_between(n_blocks, start, stop, *(Blocks(block, block) for block in order))


RECIPE = Recipe("random", "the window in a random order", build, (Count("seed", 0),))
