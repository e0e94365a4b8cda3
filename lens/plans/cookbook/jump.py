"""Jump: a cast carries the stream over the window."""

from __future__ import annotations

from lens.plans._plan import Plan
from lens.plans._recipe import CAST, Recipe, stages_between
from lens.plans._stages import Jump

__all__ = ["RECIPE"]


def build(n_blocks: int, start: int, stop: int, cast: str) -> Plan:
    """`0-3 mat(4>8) 8-11`."""
    return stages_between(n_blocks, start, stop, Jump(cast, start, stop))


RECIPE = Recipe("jump", "a linear map in place of the window", build, (CAST,))
