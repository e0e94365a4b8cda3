"""Skip one: the model without one block."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import Count, Recipe, stages_between

__all__ = ["RECIPE"]


def build(n_blocks: int, block: int) -> Plan:
    """`0-4 6-11`."""
    return stages_between(n_blocks, block, block + 1)


RECIPE = Recipe("skip one", "one block is left out", build, (Count("block", 0, block=True),), window=False)
