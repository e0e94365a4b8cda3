"""What a panel is: one file in `tabs/`, found by its folder, at home in the workbench and alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import ipywidgets as widgets

from lens._discovery import discover
from lens.casts import Maps
from lens.models import Model
from lens.panels._desk import Desk
from lens.panels._undo import Undoing

__all__ = ["Panel", "Seen", "View", "panels"]


class View(Protocol):
    """What a panel's widget can do."""

    def look(self, visible: bool) -> None:
        """Somebody looks at this panel now, or no longer: only what is looked at is computed."""

    def python(self) -> str:
        """Code that gives what is on screen, by the public names of lens; its last line is a frame called `frame`."""


class Seen(Undoing):
    """A panel that draws from the desk: it does so once somebody looks, and while somebody does."""

    visible = False

    def look(self, visible: bool) -> None:
        """Somebody looks at this panel now, or no longer."""
        self.visible = visible
        self.draw()

    def draw(self) -> None:
        """Draw what is known; called as the session and its answer change."""


@dataclass(frozen=True)
class Panel:
    """A question that can be put to a session, with the widget that answers it. Called, it stands alone."""

    key: str  # in links and in code
    title: str
    order: int  # of the tabs
    help: str  # one sentence: what it shows
    make: Callable[[Desk], widgets.Widget]
    controls: tuple[str, ...] = ()  # what of the header it reads: sentence, source, target, k

    def __call__(
        self,
        model: str | os.PathLike[str] | Model | None = None,
        text: str | None = None,
        *,
        maps: Maps | None = None,
        state: str | Mapping[str, Any] | None = None,
        **choices: Any,
    ) -> widgets.Widget:
        """This panel alone, as a widget, with the controls that it reads; arguments as of `lens.explore`."""
        from lens.panels._explore import alone

        return alone(self, model, text, maps=maps, state=state, **choices)


@cache
def panels() -> dict[str, Panel]:
    """Every panel by its key, in the order of the tabs. ImportError, in words, where a file of one is broken."""
    found, broken = discover("lens.panels.tabs", "PANEL", lambda panel: (panel.key,))
    if broken:
        raise ImportError(f"Panels that can't be loaded: {broken}")
    return dict(sorted(found.items(), key=lambda pair: pair[1].order))
