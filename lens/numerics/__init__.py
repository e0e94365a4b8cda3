"""Torch only: moments, solves, scores, top-k, and the result shapes that views understand."""

from __future__ import annotations

from lens.numerics._moments import Moments, Pair, Site
from lens.numerics._residuals import GROUPS, Residuals
from lens.numerics._scores import Comparison, Reference, Scores, compare, judge, score, top_k
from lens.numerics._solve import Solution, affine, least_squares, reduced_rank
from lens.numerics.results import (
    METRICS,
    R2,
    SWEEP_METRICS,
    VARIANTS,
    Composition,
    Curves,
    EarlyExit,
    Ended,
    Estimate,
    ExitTimes,
    Generation,
    Reading,
    Run,
    Saving,
    Sweep,
    Transfer,
    jackknife,
    ratio,
)

__all__ = [
    "GROUPS",
    "METRICS",
    "R2",
    "SWEEP_METRICS",
    "VARIANTS",
    "Comparison",
    "Composition",
    "Curves",
    "EarlyExit",
    "Ended",
    "Estimate",
    "ExitTimes",
    "Generation",
    "Moments",
    "Pair",
    "Reading",
    "Reference",
    "Residuals",
    "Run",
    "Saving",
    "Scores",
    "Site",
    "Solution",
    "Sweep",
    "Transfer",
    "affine",
    "compare",
    "jackknife",
    "judge",
    "least_squares",
    "ratio",
    "reduced_rank",
    "score",
    "top_k",
]
