"""The figures of "Layers as Painters" for this model, drawn as their numbers come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.analyses import loops, orders, painters, windows
from lens.casts import Maps
from lens.models import Model
from lens.numerics import Grid, Sweep
from lens.panels._charts import BAND, line
from lens.panels._desk import Desk
from lens.panels._measured import Measured
from lens.panels._panel import Panel
from lens.panels._session import FIGURES
from lens.panels._style import plain
from lens.panels._undo import watch
from lens.panels.live import Chart, Facts, HeatMap, Picture
from lens.plans import Plan

__all__ = ["PANEL", "Sweeps"]

SWEEPS: dict[str, tuple[str, Callable[..., Grid | Sweep], dict[str, Any]]] = {
    "strategies": ("Strategies by window", painters, {}),
    "skip": ("Skip every window", windows, {"recipe": "skip"}),
    "repeat": ("Repeat every window (i, j)", windows, {"recipe": "repeat"}),
    "reverse": ("Reverse every window", windows, {"recipe": "reverse"}),
    "mean": ("Loops: mean", loops, {"join": "mean"}),
    "sum": ("Loops: sum", loops, {"join": "sum"}),
    "scaled": ("Loops: scaled mean", loops, {"join": "scaled"}),
    "orders": ("Random orders by inversions", orders, {"samples": 40}),
}
METRICS = {"loss change (nats)": "change", "KL (nats)": "kl", "agreement": "agreement"}
TITLES = {"change": "Loss less that of the full model", "kl": "KL from the full model", "agreement": "Top-1 kept"}
TIMED = 5  # sentences on which time is measured


class Sweeps(Measured):
    """A figure to choose, a measure, and the texts; a click on a point puts its plan on the assembly line."""

    def __init__(self, desk: Desk) -> None:
        self.chart, self.heat, self.table = Chart(), HeatMap(), Facts()
        self.figure = plain("Figure", options=[(SWEEPS[key][0], key) for key in FIGURES])
        self.metric = plain("Effect", options=METRICS)
        super().__init__(desk, "sweep", self._sweep, [self.chart, self.heat, self.table], (0, 50, 200, 500))
        self.controls.children = (self.figure, self.metric, *self.controls.children)
        self.undo += [
            widgets.link((desk.session, "figure"), (self.figure, "value")).unlink,
            widgets.link((desk.session, "effect"), (self.metric, "value")).unlink,
            watch(desk.session, ["figure"], self.refresh),
            watch(desk.session, ["effect"], self.draw),
            self.heat.on_message("pick", self._pick),
        ]
        self._lay_out(self.chart)

    def python(self) -> str:
        """Run the sweep again; without its times, which are each machine's own."""
        _, make, given = SWEEPS[self.figure.value]
        return self.program(f"lens.{make.__name__}", **given)

    def draw(self) -> None:
        """Draw what is known."""
        found: Grid | Sweep | None = self.result
        if found is None or not self.visible:
            return
        metric = self.metric.value
        if isinstance(found, Sweep):
            self._lay_out(self.chart)
            self.chart.spec = order_spec(found, metric, self._running)
        elif found.row_axis == "start":
            self._lay_out(self.heat)
            self.heat.fill(**window_picture(found, metric, self._running))
        elif found.row_axis == "recipe":
            self._lay_out(self.chart, self.table)
            self.chart.spec = grid_spec(found, metric, self._running)
            self.table.fill(**costs(found))
        else:
            self._lay_out(self.chart)
            self.chart.spec = grid_spec(found, metric, self._running)

    def dim(self, busy: bool) -> None:
        """Show that the figure is being replaced."""
        self.chart.busy = self.heat.busy = self.table.busy = busy

    def _key(self) -> Any:
        return (*super()._key(), self.figure.value)

    def _sweep(self, model: Model, maps: Maps | None, texts: list[str], report: Any) -> Grid | Sweep:
        _, make, given = SWEEPS[self.figure.value]
        timed = TIMED if make is painters else 0
        return make(model, texts, maps=maps, progress=report, stream=report, timed=timed, **given)

    def _lay_out(self, *shown: Picture) -> None:
        for picture in (self.chart, self.heat, self.table):
            picture.layout.display = "" if picture in shown else "none"

    def _pick(self, message: dict[str, Any]) -> None:
        found = self.result
        start, stop = str(message.get("source")), message.get("target")
        if isinstance(found, Grid) and start in found.rows and stop in found.columns:
            plan = found.plan(found.rows.index(start), found.columns.index(stop))
            self.desk.session.plan = plan or self.desk.session.plan


def grid_spec(found: Grid, metric: str, more: bool = False) -> dict[str, Any]:
    """Lines of a grid: a row each, against its columns; `more` is still to come."""
    estimate = found.of(metric)
    share = metric == "agreement"
    seen = f"{_seen(found.sweep, more)} {BAND}"
    by_size = found.row_axis == "recipe"
    name = "blocks in the window, M" if by_size else "loops, k"
    rows = range(len(found.rows)) if by_size else range(1, len(found.rows))
    return {
        "title": f"{TITLES[metric]}: {found.title}",
        "note": seen if by_size else f"One line for each size of the window. {seen}",
        "x": {"label": name, "values": list(found.columns)},
        "y": {
            "label": TITLES[metric] if share else f"{TITLES[metric]} (nats)",
            "low": 0 if share else None,
            "high": 1 if share else None,
            "format": "percent" if share else "number",
        },
        "lines": [
            line(
                found.rows[r] if by_size else f"c{r % 6}",
                found.rows[r] if by_size else f"M = {found.rows[r]}",
                value,
                error,
            )
            for r, value, error in ((r, estimate.value[r], estimate.error[r]) for r in rows)
        ],
        "marker": None,
    }


def _seen(found: Sweep, more: bool) -> str:
    sentences = "1 sentence" if found.sentences == 1 else f"{found.sentences:,} sentences"
    return f"{int(found.tokens.sum()):,} tokens of {sentences}{' so far' if more else ''}."


def order_spec(found: Sweep, metric: str, more: bool = False) -> dict[str, Any]:
    """A point for each order, by how many pairs of blocks run in the wrong order."""
    estimate = getattr(found, metric)
    share = metric == "agreement"
    off = [Plan.parse(plans[0]).inversions for plans in found.plans]
    points = line("random", "an order", estimate.value[:, 0], estimate.error[:, 0]) | {"style": "points", "x": off}
    first = Plan.parse(found.plans[0][0]).compact
    return {
        "title": f"{TITLES[metric]}: random orders of the middle",
        "note": f"{len(found.rows)} orders, such as {first}. {_seen(found, more)} Lines are ± 2 standard errors.",
        "x": {"label": "pairs of blocks in the wrong order", "values": [], "low": 0},
        "y": {
            "label": TITLES[metric] if share else f"{TITLES[metric]} (nats)",
            "low": 0 if share else None,
            "high": 1 if share else None,
            "format": "percent" if share else "number",
        },
        "lines": [points],
        "marker": None,
    }


def window_picture(found: Grid, metric: str, more: bool = False) -> dict[str, Any]:
    """A map of windows, from the layer before to the layer behind."""
    size = max(found.columns) + 1
    estimate = found.of(metric)
    values, errors = (np.full((1, 1, size, size), np.nan) for _ in range(2))
    for r, row in enumerate(found.rows):
        for c, column in enumerate(found.columns):
            values[0, 0, int(row), column] = estimate.value[r, c]
            errors[0, 0, int(row), column] = estimate.error[r, c]
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    return {
        "spec": {
            "maps": [{"key": "plan", "title": TITLES[metric]}],
            "layers": list(range(size)),
            "variants": [{"key": "one", "title": "", "hint": ""}],
            "title": f"{TITLES[metric]}: {found.title}",
            "note": f"{_seen(found.sweep, more)} A window goes from the layer before it to the layer behind it. "
            "Click one to put it on the assembly line.",
            "range": [low, high if high > low else low + 1],
            "x": "layer behind the window",
            "y": "layer before it",
        },
        "values": values,
        "errors": errors,
        "variant": "one",
    }


def costs(found: Grid) -> dict[str, Any]:
    """What each strategy costs at the widest window but one: blocks, depth, and time, measured on several sentences.

    On one sentence it is one race of some milliseconds, whose error nobody knows: it is not shown.
    """
    at = max(0, len(found.columns) - 2)
    time, run, depth = found.of("time"), found.cost("applications"), found.cost("depth")
    raced = found.sweep.sentences > 1
    return {
        "title": f"What each strategy costs at M = {found.columns[at]}",
        "columns": [
            {"title": "strategy", "format": "text"},
            {"title": "blocks run", "format": "number"},
            {"title": "one after the other", "format": "number"},
            *([{"title": "time ÷ the full model's", "format": "number", "digits": 2, "error": True}] if raced else []),
        ],
        "rows": [
            [name, run[r, at], depth[r, at], *([[time.value[r, at], time.error[r, at]]] if raced else [])]
            for r, name in enumerate(found.rows)
        ],
    }


PANEL = Panel(
    "sweeps",
    "Sweeps",
    7,
    "What skipping, repeating, reversing, looping and parallel blocks cost, over many sentences.",
    Sweeps,
    ("sentence",),
)
