"""`affine`: least squares with an intercept."""

from __future__ import annotations

from torch import Tensor

from lens.casts._cast import Cast
from lens.casts.mat import apply_matrix
from lens.numerics import affine

__all__ = ["CAST"]


def _apply(stream: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    return apply_matrix(stream, matrix) + bias.to(stream.device, stream.dtype)


CAST = Cast(name="affine", title="affine map", tensors=("matrix", "bias"), apply=_apply, solve=affine)
