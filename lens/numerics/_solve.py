"""Closed-form linear maps between sites, from moments alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lens.errors import LensError
from lens.numerics._moments import Moments, Site

__all__ = ["Solution", "affine", "least_squares", "reduced_rank"]


@dataclass(frozen=True, eq=False)
class Solution:
    """Maps from one source to several targets, and how well its vectors determined them."""

    maps: dict[Site, dict[str, Tensor]]  # target → tensors by name, float64
    rank: int  # directions in which the source's vectors vary, at most the width
    condition: float  # largest over smallest eigenvalue, over those directions, each coordinate scaled to mean square 1


@dataclass(frozen=True, eq=False)
class _Inverse:
    matrix: Tensor
    rank: int
    condition: float


def least_squares(moments: Moments, source: Site, targets: Iterable[Site], ridge: float = 0.0) -> Solution:
    """Least squares without intercept: "matrix" A (width, width) with x_t ≈ A x_s, least Σ ‖x_t − A x_s‖² + ridge ‖A‖².

    The source's moment matrix is factored once for all targets ("Jump to Conclusions", section 3). Where the vectors
    do not determine the map, it is the one of least norm after each coordinate is scaled to mean square 1. Raises
    LensError where there are no vectors, or where they hold values that are no numbers.
    """
    inverse = _inverse(_gram(moments, source, centred=False), ridge / max(1, moments.count), source)
    maps: dict[Site, dict[str, Tensor]] = {
        target: {"matrix": (inverse.matrix @ moments.second(source, target)).T} for target in targets
    }
    return Solution(maps, inverse.rank, inverse.condition)


def affine(moments: Moments, source: Site, targets: Iterable[Site]) -> Solution:
    """Least squares with intercept: "matrix" A (width, width) and "bias" b (width,) with x_t ≈ A x_s + b."""
    inverse = _inverse(_gram(moments, source, centred=True), 0.0, source)

    def fitted(target: Site) -> dict[str, Tensor]:
        matrix = (inverse.matrix @ moments.covariance(source, target)).T
        return {"matrix": matrix, "bias": moments.mean[target] - matrix @ moments.mean[source]}

    return Solution({target: fitted(target) for target in targets}, inverse.rank, inverse.condition)


def reduced_rank(moments: Moments, source: Site, targets: Iterable[Site], rank: int) -> Solution:
    """The best map of a given rank, x_t ≈ upᵀ (down x_s): "down" and "up" are (rank, width).

    The least-squares map followed by a projection on the `rank` directions in which its predictions are largest
    (reduced-rank regression: Izenman 1975; Reinsel & Velu 1998, theorem 2.2, identity weights).
    """
    full, gram = least_squares(moments, source, targets), moments.second(source, source)

    def fitted(matrix: Tensor) -> dict[str, Tensor]:
        directions = torch.linalg.eigh(matrix @ gram @ matrix.T).eigenvectors[:, -rank:].T
        return {"down": directions @ matrix, "up": directions}

    maps = {target: fitted(tensors["matrix"]) for target, tensors in full.maps.items()}
    return Solution(maps, full.rank, full.condition)


def _gram(moments: Moments, source: Site, *, centred: bool) -> Tensor:
    if not moments.count:
        raise LensError(f"No map can be fitted from layer {source}: there are no vectors.")
    return moments.covariance(source, source) if centred else moments.second(source, source)


def _inverse(gram: Tensor, ridge: float, source: Site) -> _Inverse:
    """The pseudo-inverse of a moment matrix plus `ridge` on its diagonal."""
    if not gram.isfinite().all():
        raise LensError(f"No map can be fitted from layer {source}: some of its vectors are not finite numbers.")
    gram = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    scale = gram.diagonal().sqrt()
    scale = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))  # equal units condition the factorisation
    values, vectors = torch.linalg.eigh(scale[:, None] * gram * scale)
    kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    half = scale[:, None] * vectors[:, kept]
    condition = float(values[-1] / values[kept][0]) if kept.any() else 1.0
    return _Inverse((half / values[kept]) @ half.T, int(kept.sum()), condition)
