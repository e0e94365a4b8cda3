"""Linear: one part of every block of the window gives way to its linear map."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import PART, Recipe, stages_between
from lens.plans._stages import Blocks

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int, part: str) -> Plan:
    """`0-3 4-7~attn 8-11`."""
    return stages_between(n_blocks, start, stop, Blocks(start, stop - 1, part))


RECIPE = Recipe("linear", "a part of each of the window's blocks is linear", build, (PART,))
