"""Parallel: every block of the window on the same stream."""

from __future__ import annotations

from typing import Any

from lens.plans._plan import Plan
from lens.plans._recipe import COMBINE, Recipe, Scale, stages_between
from lens.plans._stages import Blocks, Parallel

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int, combine: Any, scale: float) -> Plan:
    """`0-3 [4-7] 8-11`; a mean is a mean, as in the paper, and the sum and a scaled mean are beside it."""
    middle = Parallel((Blocks(start, stop - 1),), combine, scale=scale)
    return stages_between(n_blocks, start, stop, middle)


RECIPE = Recipe("parallel", "the window's blocks side by side, their updates joined", build, (COMBINE, Scale()))
