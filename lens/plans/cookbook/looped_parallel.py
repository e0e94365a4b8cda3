"""Looped parallel: the parallel window, k times over."""

from __future__ import annotations

from typing import Any

from lens.plans._plan import Plan
from lens.plans._recipe import COMBINE, Count, Recipe, Scale, stages_between
from lens.plans._stages import Blocks, Parallel

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int, k: int, combine: Any, scale: float) -> Plan:
    """`0-3 [4-7]x3 8-11`."""
    middle = Parallel((Blocks(start, stop - 1),), combine, k, scale)
    return stages_between(n_blocks, start, stop, middle)


RECIPE = Recipe("looped parallel", "the parallel window, k times", build, (Count("k", 3, 1), COMBINE, Scale()))
