"""What the layers do to the stream: cosines in four versions, influence beside measured loss, norms, outliers."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.analyses import layers
from lens.casts import Maps
from lens.models import Model
from lens.numerics import COSINES, LayerStats
from lens.panels._charts import BAND, line
from lens.panels._desk import Desk
from lens.panels._measured import Measured
from lens.panels._panel import Panel
from lens.panels.live import Chart, Facts, HeatMap

__all__ = ["PANEL", "LayersPanel"]

VERSIONS = {"flattened": "flattened", "token": "per token", "inner": "without the first", "centred": "mean-centred"}


class LayersPanel(Measured):
    """Heat maps and lines of one `LayerStats`."""

    def __init__(self, desk: Desk) -> None:
        self.cosines, self.effects = HeatMap(variant="flattened"), HeatMap(variant="effect")
        self.loss, self.influence = Chart(), Chart()
        self.norms, self.updates = Chart(), Chart()
        self.massive = Facts()
        pairs = [(self.cosines, self.effects), (self.loss, self.influence), (self.norms, self.updates)]
        rows = [widgets.HBox(pair) for pair in pairs]
        for row in rows:
            row.add_class("lens-charts")
        super().__init__(desk, "layers", _work, [*rows, self.massive], (20, 100, 200))

    def python(self) -> str:
        """Measure again what layers do."""
        return self.program("lens.layers", maps=None)

    def draw(self) -> None:
        """Draw all six, and the table."""
        found: LayerStats | None = self.result
        if found is None or not self.visible:
            return
        self.cosines.fill(**cosine_picture(found))
        self.effects.fill(**effect_picture(found))
        blocks = list(range(found.n_blocks))
        seen = f"{found.tokens:,} tokens of {found.sentences:,} held-out sentences. {BAND}"
        self.loss.spec = _chart("Loss of skipping a block, measured", "block", blocks, "nats", seen, [
            ("~ffn", "loss less the full model's", found.skip_change),
        ])  # fmt: skip
        rho = f"Rank correlation with the measured loss: {found.rank_correlation:.2f}."
        self.influence.spec = _chart("Block Influence", "block", blocks, "1 − cosine", rho, [
            ("~attn", "1 − cosine of the stream before and after", found.influence),
        ])  # fmt: skip
        self.norms.spec = _chart("Length of the stream", "layer", [*blocks, found.n_blocks], "length", "", [
            ("mat", "mean over tokens", found.norm),
        ])  # fmt: skip
        self.updates.spec = _chart("Updates", "block", blocks, "share", "", [
            ("~ln", "length ÷ length of the stream", found.update_ratio),
            ("round-robin", "cosine with the stream", found.update_cosine),
        ])  # fmt: skip
        self.massive.fill(**massive_table(found))

    def dim(self, busy: bool) -> None:
        """Show that the pictures are being replaced."""
        charts = (self.loss, self.influence, self.norms, self.updates)
        for picture in (self.cosines, self.effects, *charts, self.massive):
            picture.busy = busy


def _work(model: Model, _maps: Maps | None, texts: list[str], report: Any) -> LayerStats:
    return layers(model, texts, progress=report)


def cosine_picture(found: LayerStats) -> dict[str, Any]:
    """Four versions of the cosine between layers."""
    values, errors = found.cosines.value[:, None], found.cosines.error[:, None]
    return {
        "spec": {
            "maps": [{"key": "mat", "title": "cosine between layers"}],
            "layers": list(range(found.n_blocks + 1)),
            "variants": [{"key": key, "title": VERSIONS[key], "hint": COSINES[key]} for key in COSINES],
            "title": "How alike the layers are",
            "note": "The flattened matrix is the paper's; its first token alone may make the groups that it shows. "
            "What stays in the others is there in every token.",
            "range": [min(0.0, float(values.min())), 1.0],
            "square": True,
            "x": "layer",
            "y": "layer",
        },
        "values": values,
        "errors": errors,
    }


def effect_picture(found: LayerStats) -> dict[str, Any]:
    """What skipping a block does to the updates of later ones, and how far the stream turns."""
    size = found.n_blocks + 1
    values, errors = (np.full((2, 1, size, size), np.nan) for _ in range(2))
    for place, (estimate, last) in enumerate(((found.skip_effect, size - 1), (found.angular, size))):
        values[place, 0, :last, :last], errors[place, 0, :last, :last] = estimate.value, estimate.error
    values[1, 0][np.tril_indices(size, -1)] = np.nan
    return {
        "spec": {
            "maps": [{"key": "id", "title": ""}],
            "layers": list(range(size)),
            "variants": [
                {"key": "effect", "title": "skip effect", "hint": "relative change of a later block's update"},
                {"key": "angular", "title": "angular distance", "hint": "angle between two layers, 1 is 180°"},
            ],
            "title": "Who depends on whom",
            "note": "Skip effect: block on the left left out, change of the update of the block below. "
            f"Least turned over 3 blocks from block {found.best_drop(min(3, found.n_blocks))}.",
            "range": [0.0, float(np.nanpercentile(values[0], 95))],
            "word": "from",
            "x": "later",
            "y": "earlier",
        },
        "values": values,
        "errors": errors,
    }


def _chart(title: str, x: str, places: list[int], y: str, note: str, lines: list[Any]) -> dict[str, Any]:
    high, beyond = _bound(lines)
    return {
        "title": title,
        "note": f"{beyond} {note}".strip(),
        "x": {"label": x, "values": places},
        "y": {"label": y, "low": None, "high": high, "format": "number"},
        "lines": [line(key, name, _within(estimate.value, high), estimate.error) for key, name, estimate in lines],
        "marker": None,
    }


def _within(values: Any, high: float | None) -> Any:
    """Nothing is drawn where it is not: what lies beyond the axis is left out, and said in words."""
    return values if high is None else np.where(values > high, np.nan, values)


def _bound(lines: list[Any]) -> tuple[float | None, str]:
    """Where the axis ends if block 0 would flatten all others, as it often does, and the words that say so."""
    first = max(float(estimate.value[0]) for _, _, estimate in lines)
    rest = (
        max(float(np.nanmax(estimate.value[1:])) for _, _, estimate in lines) if len(lines[0][2].value) > 1 else first
    )
    if first <= 5 * rest or rest <= 0:
        return None, ""
    return 1.2 * rest, f"Block 0 is beyond the axis, at {first:.2f}."


def massive_table(found: LayerStats) -> dict[str, Any]:
    """The largest activation of each layer."""
    return {
        "title": "The largest activation at each layer",
        "columns": [
            {"title": "layer", "format": "index"},
            {"title": "activation", "format": "number", "digits": 1},
            {"title": "÷ median", "format": "number"},
            {"title": "token", "format": "token"},
            {"title": "position", "format": "index"},
            {"title": "coordinate", "format": "index"},
        ],
        "rows": [
            [m.layer, m.value, abs(m.value) / m.median if m.median else None, m.token, m.position, m.coordinate]
            for m in found.massive
        ],
        "note": "The median is that of the absolute values at the layer.",
    }


PANEL = Panel(
    "layers", "Layers", 8, "What each layer does to the stream: cosines, influence, norms, outliers.", LayersPanel
)
