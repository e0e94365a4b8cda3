"""`mat`: least squares without intercept, the map of "Jump to Conclusions" (section 3)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from lens.casts._cast import Cast
from lens.numerics import Moments, least_squares

__all__ = ["CAST"]


def _apply(stream: Tensor, matrix: Tensor) -> Tensor:
    return stream @ matrix.to(stream.device, stream.dtype).T


def _solve(moments: Moments, source: int, targets: Iterable[int]) -> dict[int, dict[str, Tensor]]:
    return {target: {"matrix": matrix} for target, matrix in least_squares(moments, source, targets).items()}


CAST = Cast(name="mat", title="linear map", tensors=("matrix",), apply=_apply, solve=_solve)
