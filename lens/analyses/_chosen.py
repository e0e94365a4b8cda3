"""What is asked for by its names: a list of casts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lens.casts import cast_named
from lens.errors import LensError

__all__ = ["chosen_casts"]


def chosen_casts(casts: Sequence[str]) -> tuple[str, ...]:
    """The casts that are named, each once, as twice the same adds nothing; LensError unless there are some."""
    if isinstance(casts, str) or not isinstance(casts, Iterable) or not (chosen := list(casts)):
        raise LensError(f"casts is {casts!r}: give a list of casts, such as ('id', 'mat').")
    for cast in chosen:
        cast_named(cast)
    return tuple(dict.fromkeys(chosen))
