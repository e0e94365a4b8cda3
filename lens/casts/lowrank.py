"""`lowrank`: the best linear map of a given rank, without intercept (reduced-rank regression)."""

from __future__ import annotations

from torch import Tensor

from lens.casts._cast import Cast
from lens.numerics import reduced_rank

__all__ = ["CAST"]


def _apply(stream: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return (stream @ down.to(stream.device, stream.dtype).T) @ up.to(stream.device, stream.dtype)


CAST = Cast(
    name="lowrank",
    title="low-rank map",
    tensors=("down", "up"),
    apply=_apply,
    solve=reduced_rank,
    options=("rank",),
)
