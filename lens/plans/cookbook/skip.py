"""Skip: nothing runs in place of the window."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import Recipe, stages_between

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int) -> Plan:
    """`0-3 8-11`."""
    return stages_between(n_blocks, start, stop)


RECIPE = Recipe("skip", "the window is left out", build)
