"""Whether two ways of computing one thing agree to rounding."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["agree"]

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}  # relative to the largest: blocks add up what rounding does
HALF_PRECISION = 5e-2


def agree(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and the same numbers, to what rounding does in all blocks of a model."""
    if one.shape != other.shape:
        return False
    allowed = TOLERANCE.get(other.dtype, HALF_PRECISION) * float(other.abs().max())
    return torch.allclose(one, other, rtol=0, atol=allowed, equal_nan=True)
