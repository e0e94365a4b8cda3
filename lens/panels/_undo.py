"""Closing a panel leaves no observer behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from traitlets import HasTraits

__all__ = ["Undoing", "watch"]


class Undoing:
    """A widget that undoes, once, what it subscribed to: put it before the widget class and fill `undo`."""

    undo: list[Callable[[], Any]]

    def close(self) -> None:
        """Undo every subscription, then close; a second call does nothing more."""
        while self.undo:
            self.undo.pop()()
        for child in getattr(self, "children", ()):
            child.close()
        super().close()  # type: ignore[misc]  # the widget class that this is mixed into


def watch(traits: HasTraits, names: list[str], call: Callable[[], Any]) -> Callable[[], None]:
    """Call `call()` whenever one of `names` changes; returns the function that undoes it."""

    def heard(_: Any) -> None:
        call()

    traits.observe(heard, names)
    return lambda: traits.unobserve(heard, names)
