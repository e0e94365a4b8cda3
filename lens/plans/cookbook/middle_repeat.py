"""Middle repeat: the block in the centre of the window, as often as the window is long."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import Recipe, stages_between
from lens.plans._stages import Blocks

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int) -> Plan:
    """`0-3 5x4 8-11`; in the paper's window the centre is block ⌊T/2⌋."""
    centre = (start + stop - 1) // 2
    return stages_between(n_blocks, start, stop, Blocks(centre, centre, times=stop - start))


RECIPE = Recipe("middle repeat", "the window's central block, repeated", build)
