"""Whether two ways of computing one thing agree to rounding."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["agree"]

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}  # of a vector's largest coordinate: rounding adds up in blocks
HALF_PRECISION = 5e-2


def agree(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors (…, d) have one shape and the same numbers, to what rounding does in all blocks of a model.

    Each vector by its own largest coordinate: another's may be a thousand times as large. What is not a number agrees
    with nothing.
    """
    if one.shape != other.shape:
        return False
    largest = torch.where(other.isfinite(), other.abs(), 0).amax(-1, keepdim=True)
    allowed = TOLERANCE.get(other.dtype, HALF_PRECISION) * largest
    return bool(((one == other) | ((one - other).abs() <= allowed)).all())
