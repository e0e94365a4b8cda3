"""Repeat: the window, several times over (i, j: blocks i … j − 1 run twice)."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import Count, Recipe, stages_between
from lens.plans._stages import Blocks, Group

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int, times: int) -> Plan:
    """`0-3 (4-7)x2 8-11`."""
    once = Blocks(start, stop - 1)
    return stages_between(n_blocks, start, stop, Group((once,), times) if times > 1 else once)


RECIPE = Recipe("repeat", "the window, twice or more", build, (Count("times", 2, 1),))
