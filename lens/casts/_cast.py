"""What a cast is, and the folder that is their registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor

from lens._discovery import discover
from lens.errors import LensError
from lens.numerics import Moments

__all__ = ["Cast", "broken_casts", "cast_named", "casts"]


@dataclass(frozen=True)
class Cast:
    """A kind of map from the stream at `source` to the stream at `target`; one file in `lens/casts` each."""

    name: str
    title: str
    tensors: tuple[str, ...]  # what one fitted pair consists of; empty for a cast that needs no fitting
    apply: Callable[..., Tensor]  # (stream (..., width), **tensors) -> (..., width)
    solve: Callable[[Moments, int, Iterable[int]], dict[int, dict[str, Tensor]]] | None = None

    @property
    def fitted(self) -> bool:
        """Whether this cast needs maps."""
        return bool(self.tensors)


@cache
def _registry() -> tuple[dict[str, Any], dict[str, str]]:
    return discover("lens.casts", "CAST", lambda cast: (cast.name,))


def casts() -> dict[str, Cast]:
    """Every cast by name."""
    return _registry()[0]


def broken_casts() -> dict[str, str]:
    """Files in `lens/casts` that could not be imported, and why."""
    return _registry()[1]


def cast_named(name: str) -> Cast:
    """The cast called `name`; LensError if there is none."""
    found = casts().get(name)
    if found is None:
        raise LensError(f"There is no cast called {name!r}. Casts are {', '.join(sorted(casts()))}.")
    return found
