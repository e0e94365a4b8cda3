"""`tuned`: an imported tuned lens, x + W x + b to the last layer (Belrose et al. 2023, eq. 5)."""

from __future__ import annotations

from torch import Tensor

from lens.casts._cast import Cast
from lens.casts.mat import apply_matrix

__all__ = ["CAST"]


def _apply(stream: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    return stream + apply_matrix(stream, matrix) + bias.to(stream.device, stream.dtype)


CAST = Cast(name="tuned", title="tuned lens", tensors=("matrix", "bias"), apply=_apply)
