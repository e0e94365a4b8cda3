"""`mat`: least squares without intercept, the map of "Jump to Conclusions" (section 3)."""

from __future__ import annotations

from torch import Tensor

from lens.casts._cast import Cast
from lens.numerics import least_squares

__all__ = ["CAST", "apply_matrix"]


def apply_matrix(stream: Tensor, matrix: Tensor) -> Tensor:
    """A x for each vector x of the stream."""
    return stream @ matrix.to(stream.device, stream.dtype).T


CAST = Cast(name="mat", title="linear map", tensors=("matrix",), apply=apply_matrix, solve=least_squares)
