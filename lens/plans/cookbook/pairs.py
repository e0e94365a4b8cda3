"""Pairs: neighbouring blocks of the window two by two, each pair side by side, their updates added."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import Recipe, stages_between
from lens.plans._stages import Blocks, Parallel, Stage

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int) -> Plan:
    """`0-3 [4-5]+ [6-7]+ 8-11`; a block that is left over runs alone."""
    paired: list[Stage] = [Parallel((Blocks(at, at + 1),), "sum") for at in range(start, stop - 1, 2)]
    alone = [Blocks(stop - 1, stop - 1)] if (stop - start) % 2 else []
    return stages_between(n_blocks, start, stop, *paired, *alone)


RECIPE = Recipe("pairs", "neighbours of the window side by side, their updates added", build)
