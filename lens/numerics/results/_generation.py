"""What a model writes under a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Ended", "Generation"]

Ended = Literal["length", "end", "context", "filled", "stopped"]


@dataclass(frozen=True)
class Generation:
    """Text that a model wrote under a plan; for a masked model, the text with its masks filled."""

    model: str
    plan: str
    prompt: str
    text: str  # what was written; for a masked model the whole text
    ids: tuple[int, ...]  # of the tokens that were written
    tokens: tuple[str, ...]  # as they are shown
    probabilities: tuple[float, ...]  # each token's, when it was chosen, at temperature 1
    ended: Ended | None  # why it stopped: asked for, the model's end token, the model's context; None while it goes on

    def __repr__(self) -> str:
        return f"Generation({self.model!r}, plan {self.plan!r}, {len(self.ids)} tokens: {self.text!r})"
