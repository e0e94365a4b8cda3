"""What is asked for, checked before any work begins: lists of casts, counts, bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

from lens.casts import cast_named
from lens.errors import LensError

__all__ = ["chosen_casts", "number_of_bytes", "whole_number"]

MOST = 2**53 - 1  # what JSON, and with it a card, holds to the last digit


def chosen_casts(casts: Sequence[str]) -> tuple[str, ...]:
    """The casts that are named, each once, as twice the same adds nothing; LensError unless there are some."""
    if isinstance(casts, str) or not isinstance(casts, Iterable) or not (chosen := list(casts)):
        raise LensError(f"casts is {casts!r}: give a list of casts, such as ('id', 'mat').")
    for cast in chosen:
        cast_named(cast)
    return tuple(dict.fromkeys(chosen))


def whole_number(name: str, value: int, low: int) -> int:
    """The value; LensError unless it is a whole number from `low` to `MOST`."""
    number = index(value) if hasattr(value, "__index__") and not isinstance(value, bool) else low - 1
    if not low <= number <= MOST:
        raise LensError(f"{name} is {value!r}: give a whole number from {low} to {MOST:,}.")
    return number


def number_of_bytes(memory: int) -> int:
    """The value; LensError unless it is a number of bytes."""
    if not isinstance(memory, (int, float)) or isinstance(memory, bool) or not 1 <= memory < float("inf"):
        raise LensError(f"memory is {memory!r}: give a number of bytes, such as 2_000_000_000.")
    return int(memory)
