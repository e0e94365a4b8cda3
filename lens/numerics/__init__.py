"""Torch only: moments, solves, scores, top-k, and the result shapes that views understand."""

from __future__ import annotations

from lens.numerics._moments import Moments
from lens.numerics._results import Reading, Run
from lens.numerics._scores import Scores, score, top_k
from lens.numerics._solve import least_squares, r2_of_map

__all__ = ["Moments", "Reading", "Run", "Scores", "least_squares", "r2_of_map", "score", "top_k"]
