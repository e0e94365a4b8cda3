"""Switch: a block and the one after it change places."""

from __future__ import annotations

from lens.errors import PlanError
from lens.plans._plan import Plan
from lens.plans._recipe import Count, Recipe, stages_between
from lens.plans._stages import Blocks

__all__ = ["RECIPE"]


def build(n_blocks: int, block: int) -> Plan:
    """`0-3 5 4 6-11`."""
    if block + 1 >= n_blocks:
        raise PlanError(f"block {block} has no block after it to change places with: give 0 to {n_blocks - 2}")
    return stages_between(n_blocks, block, block + 2, Blocks(block + 1, block))


RECIPE = Recipe("switch", "a block and the next change places", build, (Count("block", 0, block=True),), window=False)
