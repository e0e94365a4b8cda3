"""Panels of which one is seen at a time."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from lens.panels._desk import Desk
from lens.panels._panel import panels
from lens.panels._undo import Undoing, watch

__all__ = ["Tabs"]


class Tabs(Undoing, widgets.Tab):
    """A panel is made when somebody first looks at it, and told whenever somebody does: only what is seen is computed.

    The tab and the session's `panel` follow each other.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._keys = list(panels())
        self._made: dict[str, Any] = {}
        seats = [widgets.VBox() for _ in self._keys]
        super().__init__(seats, titles=[panel.title for panel in panels().values()])
        self.add_class("lens-tabs")
        self.undo = [watch(self, ["selected_index"], self._chosen), watch(desk.session, ["panel"], self._look)]
        self.undo.append(lambda: [panel.close() for panel in self._made.values()])
        self._look()

    def panel(self, key: str) -> Any:
        """The widget of a panel."""
        if key not in self._made:
            self._made[key] = panels()[key].make(self._desk)
            self._seat(key)
        return self._made[key]

    def shown(self) -> Any:
        """The panel that is looked at."""
        return self.panel(self._desk.session.panel)

    def _chosen(self) -> None:
        if self.selected_index is not None:
            self._desk.session.panel = self._keys[self.selected_index]

    def _look(self) -> None:
        wanted = self._desk.session.panel
        self.selected_index = self._keys.index(wanted)
        if wanted not in self._made:
            self._made[wanted] = panels()[wanted].make(self._desk)
        for key in [wanted, *(key for key in self._made if key != wanted)]:
            self._made[key].look(key == wanted)
        self._seat(wanted)  # it comes onto the page with what it has begun

    def _seat(self, key: str) -> None:
        self.children[self._keys.index(key)].children = [self._made[key]]
