"""Alternation: true blocks spread evenly, a jump in each gap between them."""

from __future__ import annotations

from lens.plans._alternation import even_alternation
from lens.plans._plan import Plan
from lens.plans._recipe import CAST, Count, Recipe

__all__ = ["RECIPE"]


def build(n_blocks: int, true: int, cast: str) -> Plan:
    """`mat(0>1) 1 mat(2>3) 3`."""
    return even_alternation(n_blocks, true, cast)


RECIPE = Recipe("alternation", "true blocks and jumps in turn", build, (Count("true", 1), CAST), window=False)
