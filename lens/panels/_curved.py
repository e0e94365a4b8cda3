"""Two charts of one `Curves`: Precision@k, and a measure to choose."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from lens.panels._charts import METRIC_TITLES, curve_spec
from lens.panels._desk import Desk
from lens.panels._measured import Measured
from lens.panels._style import plain
from lens.panels._undo import watch
from lens.panels.live import Chart

__all__ = ["Curved"]


class Curved(Measured):
    """Two charts of one result, Precision@k and a measure to choose; a click on a layer sets the source."""

    note = ""

    def __init__(self, desk: Desk, name: str, work: Any) -> None:
        self.left, self.right = Chart(), Chart()
        self.k = plain("Precision at", options=[(f"Precision@{k}", k) for k in (1, 5, 10)], value=1)
        measures = [(title.split(" (")[0], key) for key, title in METRIC_TITLES.items() if key != "precision"]
        self.metric = plain("Measure", options=measures, value="surprisal")
        session = desk.session
        charts = widgets.HBox([self.left, self.right])
        charts.add_class("lens-charts")
        super().__init__(desk, name, work, [charts])
        self.controls.children = (self.k, self.metric, *self.controls.children)
        self.undo += [
            widgets.link((session, "precision"), (self.k, "value")).unlink,
            widgets.link((session, "measure"), (self.metric, "value")).unlink,
            watch(session, ["source", "precision", "measure"], self.draw),
            *(chart.on_message("pick", self._pick) for chart in (self.left, self.right)),
        ]

    def draw(self) -> None:
        """Draw both charts, with the rule at the source layer."""
        if self.result is not None and self.visible:
            source = self.desk.session.source
            self.left.spec = curve_spec(self.result, "precision", self.k.value, source, self.note)
            self.right.spec = curve_spec(self.result, self.metric.value, 1, source)

    def dim(self, busy: bool) -> None:
        """Show that the charts are being replaced."""
        self.left.busy = self.right.busy = busy

    def _pick(self, message: dict[str, Any]) -> None:
        answer = self.desk.answer
        if answer is not None and isinstance(message.get("x"), (int, float)):
            self.desk.session.source = min(max(0, int(message["x"])), answer.target)
