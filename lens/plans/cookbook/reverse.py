"""Reverse: the window backwards."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import Recipe, stages_between
from lens.plans._stages import Blocks

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int) -> Plan:
    """`0-3 7-4 8-11`."""
    return stages_between(n_blocks, start, stop, Blocks(stop - 1, start))


RECIPE = Recipe("reverse", "the window backwards", build)
