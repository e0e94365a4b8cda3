"""`id`: the stream read as it is (the logit lens)."""

from __future__ import annotations

from torch import Tensor

from lens.casts._cast import Cast

__all__ = ["CAST"]


def _same(stream: Tensor) -> Tensor:
    return stream


CAST = Cast(name="id", title="as it is", tensors=(), apply=_same)
