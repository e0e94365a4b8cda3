"""What a cast is, and the folder that is their registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor

from lens._discovery import discover
from lens.errors import LensError
from lens.numerics import Solution

__all__ = ["Cast", "cast_named", "casts"]


@dataclass(frozen=True)
class Cast:
    """A kind of map from the stream at `source` to the stream at `target`; one file in `lens/casts` each."""

    name: str
    title: str  # what a person is told it is
    tensors: tuple[str, ...]  # what one fitted pair consists of, each (…, width); empty for a cast without a fit
    apply: Callable[..., Tensor]  # (stream (..., width), **tensors) -> (..., width)
    solve: Callable[..., Solution] | None = None  # (moments, source, targets, **options) -> Solution
    options: tuple[str, ...] = ()  # which of `lens.fit`'s options the solution needs

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


def cast_named(name: str) -> Cast:
    """The cast called `name`; LensError if there is none."""
    found, broken = _registry()
    if isinstance(name, str) and name in found:
        cast: Cast = found[name]
        return cast
    failed = "".join(f" {file}.py could not be imported ({reason})." for file, reason in broken.items())
    raise LensError(f"There is no cast called {name!r}. Casts are {', '.join(sorted(found))}.{failed}")
