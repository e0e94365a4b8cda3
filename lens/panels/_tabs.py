"""Panels of which one is seen at a time."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets

from lens.panels._undo import Undoing, watch

__all__ = ["Tabs"]


class Tabs(Undoing, widgets.Tab):
    """Tells the panels that measure whether anybody looks at them: only what is seen is computed."""

    def __init__(self, panels: Mapping[str, widgets.Widget]) -> None:
        super().__init__(list(panels.values()), titles=list(panels))
        self.selected_index = 0
        self.add_class("lens-tabs")
        self.undo = [watch(self, ["selected_index"], self._look)]

    def _look(self) -> None:
        for place, panel in enumerate(self.children):
            if hasattr(panel, "look"):
                panel.look(place == self.selected_index)
