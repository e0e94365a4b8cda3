"""Closed-form linear maps between boundaries, from moments alone."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from lens.errors import LensError
from lens.numerics._moments import Moments

__all__ = ["least_squares", "r2_of_map"]


def least_squares(moments: Moments, source: int, targets: Iterable[int]) -> dict[int, Tensor]:
    """Least squares without intercept from `source` to each of `targets`: A (width, width) float64, x_t ≈ A x_s.

    The source's moment matrix is factored once for all targets ("Jump to Conclusions", section 3). Where the vectors
    do not determine the map, it is the one of least norm after each coordinate is scaled to mean square 1. Raises
    LensError where there are no vectors, or where they hold values that are no numbers.
    """
    gram = moments.second(source, source) if moments.count else torch.full((moments.width, moments.width), torch.nan)
    if not gram.isfinite().all():
        raise LensError(
            f"No map can be fitted from layer {source}: there are no vectors, or some are not finite numbers."
        )
    scale = gram.diagonal().sqrt()
    scale = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))  # equal units condition the factorisation
    values, vectors = torch.linalg.eigh(scale[:, None] * gram * scale)
    kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    inverse = torch.where(kept, 1 / values, torch.zeros_like(values))
    half = scale[:, None] * vectors
    solver = (half * inverse) @ half.T
    return {target: (solver @ moments.second(source, target)).T for target in targets}


def r2_of_map(moments: Moments, source: int, target: int, matrix: Tensor) -> Tensor:
    """Per-coordinate r² (width,) of `matrix` (width, width) as a predictor of `target` from `source`, unclipped.

    1 − E[(x_t − A x_s)²] / Var[x_t] over the vectors in `moments`; a coordinate that does not vary has no r²: NaN.
    """
    matrix = matrix.to("cpu", torch.float64)
    bias = moments.mean[target] - matrix @ moments.mean[source]
    cross = (matrix * moments.covariance(source, target).T).sum(1)
    own = ((matrix @ moments.covariance(source, source)) * matrix).sum(1)
    variance = moments.covariance(target, target).diagonal()
    residual = variance - 2 * cross + own + bias**2
    return torch.where(variance > 0, 1 - residual / variance, torch.nan)
