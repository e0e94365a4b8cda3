"""The errors that a person meets: what was wrong, what is allowed, what to do next."""

from __future__ import annotations

__all__ = ["EngineError", "LensError", "MapsError", "ModelError", "PlanError", "Superseded", "TextError"]


class LensError(ValueError):
    """Something asked of lens cannot be done; the message is one that a visitor may read."""


class ModelError(LensError):
    """A model cannot be found, loaded, understood or fitted into memory."""


class TextError(LensError):
    """A text cannot be read by this model: empty, without a mask, or not text."""


class MapsError(LensError):
    """Fitted maps are absent, damaged, or belong to another model."""


class Superseded(Exception):  # noqa: N818 - not an error: the way that unwanted work ends early
    """Nobody waits for this work any more: newer work has taken its place, or it was cancelled."""


class EngineError(LensError):
    """A shared engine cannot be reached, is full, or has lost the work."""


class PlanError(LensError):
    """A plan does not parse or does not fit the model; `start` and `end` delimit the mistake in `text`."""

    def __init__(self, message: str, text: str = "", start: int = 0, end: int | None = None) -> None:
        super().__init__(message)
        self.text = text
        self.start = start
        self.end = max(start + 1, len(text) if end is None else end)

    def pointed(self) -> str:
        """The message with the plan under it and the mistake underlined."""
        return f"{self}\n  {self.text}\n  {' ' * self.start}{'^' * (self.end - self.start)}"
