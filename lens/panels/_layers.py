"""How well each layer foretells the model's output: Precision@k, surprisal, KL and entropy over held-out sentences."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from lens.analyses import curves, submodules
from lens.casts import Maps, casts
from lens.models import Model
from lens.panels._charts import METRIC_TITLES, curve_spec
from lens.panels._desk import Desk
from lens.panels._measured import Measured
from lens.panels._undo import watch
from lens.panels.live import Chart

__all__ = ["Layers", "Submodules"]


class _Curved(Measured):
    """Two charts of one result, Precision@k and a measure to choose; a click on a layer sets the source."""

    note = ""

    def __init__(self, desk: Desk, name: str, work: Any) -> None:
        self.left, self.right = Chart(), Chart()
        self.k = widgets.Dropdown(options=[(f"Precision@{k}", k) for k in (1, 5, 10)], value=1)
        measures = [(title.split(" (")[0], key) for key, title in METRIC_TITLES.items() if key != "precision"]
        self.metric = widgets.Dropdown(options=measures, value="surprisal")
        charts = widgets.HBox([self.left, self.right])
        charts.add_class("lens-charts")
        super().__init__(desk, name, work, [charts])
        self.controls.children = (self.k, self.metric, *self.controls.children)
        self.undo += [
            watch(self.k, ["value"], self.draw),
            watch(self.metric, ["value"], self.draw),
            watch(desk.session, ["source"], self.draw),
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


class Layers(_Curved):
    """Every cast that the maps hold, to the last layer."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "layers", _curves)


class Submodules(_Curved):
    """ℓ true blocks, then all later ones with one part linear."""

    note = "From the layer on, one part of every block is linear: attention, feed-forward or layer norms."

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "submodules", _submodules)


def _curves(model: Model, maps: Maps | None, texts: list[str], report: Any) -> Any:
    return curves(model, texts, maps=maps, casts=held(model, maps), progress=report)


def _submodules(model: Model, maps: Maps | None, texts: list[str], report: Any) -> Any:
    shown = [cast for cast in held(model, maps) if cast in ("mat", "id")]
    return submodules(model, texts, maps=maps, casts=shown, progress=report)


def held(model: Model, maps: Maps | None) -> list[str]:
    """The casts that can go from every layer to the last, `id` first."""
    layers, last = tuple(range(model.n_blocks)), model.n_blocks
    fitted = [name for name, cast in casts().items() if cast.fitted and maps and maps.covers(name, layers, last)]
    return ["id", *fitted]
