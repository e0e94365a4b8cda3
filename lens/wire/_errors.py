"""Errors that a person reads, carried from the engine to who asked: the same class, the same words."""

from __future__ import annotations

from typing import Any

from lens.errors import EngineError, LensError, MapsError, ModelError, PlanError, TextError

__all__ = ["as_value", "raised"]

KINDS = {each.__name__: each for each in (EngineError, LensError, MapsError, ModelError, TextError)}


def as_value(error: LensError) -> dict[str, Any]:
    """The error as a value."""
    kind = next(each.__name__ for each in type(error).__mro__ if each.__name__ in {*KINDS, "PlanError"})
    place = (error.text, error.start, error.end) if isinstance(error, PlanError) else None
    return {"kind": kind, "words": str(error), "place": place}


def raised(said: Any) -> LensError | None:
    """The error that a value tells of; None where it tells of none."""
    match said:
        case {"kind": str(kind), "words": str(words), "place": None} if kind in KINDS:
            return KINDS[kind](words)
        case {"kind": "PlanError", "words": str(words), "place": (str(text), int(start), int(end))}:
            return PlanError(words, text, start, end)
    return None
