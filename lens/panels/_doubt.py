"""Numbers that are none, said as that: never as a plausible number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lens.numerics import NO_TOKEN

__all__ = ["NOT_FINITE", "highest", "number", "places", "same_token"]

NOT_FINITE = "Nothing is predicted: the numbers here are no longer finite."


def number(value: float, form: str = ".2f", unit: str = " nats") -> str:
    """A number in words, or a dash where it is none."""
    return f"{value:{form}}{unit}" if math.isfinite(value) else "—"


def highest(values: Any) -> float | None:
    """The largest of the numbers that are numbers."""
    known = np.asarray(values, float)  # None becomes NaN
    finite = known[np.isfinite(known)]
    return float(finite.max()) if finite.size else None


def places(rank: Any) -> Any:
    """Ranks as people count them, from 1; NaN where there is none."""
    return np.where(rank < 0, np.nan, rank + 1.0)


def same_token(ids: Any, others: Any) -> Any:
    """Where both are tokens, and the same one."""
    return (ids == others) & (ids != NO_TOKEN)
