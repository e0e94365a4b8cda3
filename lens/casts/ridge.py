"""`ridge`: least squares without intercept that keeps the map small, `ridge` as scikit-learn's alpha."""

from __future__ import annotations

from lens.casts._cast import Cast
from lens.casts.mat import apply_matrix
from lens.numerics import least_squares

__all__ = ["CAST"]

CAST = Cast(
    name="ridge",
    title="ridge regression",
    tensors=("matrix",),
    apply=apply_matrix,
    solve=least_squares,
    options=("ridge",),
)
