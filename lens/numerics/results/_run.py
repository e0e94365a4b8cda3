"""What a model does with a text under a plan."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Run"]


@dataclass(frozen=True, eq=False)
class Run:
    """What a model does with a text under a plan."""

    model: str
    text: str
    plan: str
    tokens: tuple[str, ...]  # (positions,) as they are shown
    total: int  # tokens of the text before it was cut to the model's context
    logits: Tensor  # (positions, vocabulary)
    streams: tuple[Tensor, ...]  # stages + 1 of (positions, width): the embeddings, then after each stage

    def __repr__(self) -> str:
        return (
            f"Run({self.model!r}, plan {self.plan!r}, logits {tuple(self.logits.shape)}, {len(self.streams)} streams)"
        )
