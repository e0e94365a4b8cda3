"""Torch only: moments, solves, scores, top-k, and the result shapes that views understand."""

from __future__ import annotations

from lens.numerics._moments import Moments, Pair, Site
from lens.numerics._residuals import GROUPS, Residuals
from lens.numerics._scores import Comparison, Scores, compare, score, top_k
from lens.numerics._solve import Solution, affine, least_squares, reduced_rank
from lens.numerics.results import (
    METRICS,
    R2,
    VARIANTS,
    Composition,
    Curves,
    EarlyExit,
    Estimate,
    ExitTimes,
    Reading,
    Run,
    Saving,
    Transfer,
    jackknife,
    ratio,
)

__all__ = [
    "GROUPS",
    "METRICS",
    "R2",
    "VARIANTS",
    "Comparison",
    "Composition",
    "Curves",
    "EarlyExit",
    "Estimate",
    "ExitTimes",
    "Moments",
    "Pair",
    "Reading",
    "Residuals",
    "Run",
    "Saving",
    "Scores",
    "Site",
    "Solution",
    "Transfer",
    "affine",
    "compare",
    "jackknife",
    "least_squares",
    "ratio",
    "reduced_rank",
    "score",
    "top_k",
]
