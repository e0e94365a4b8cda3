"""Sweeps and grids: strategies by window, windows as maps, random orders by their inversions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lens.errors import LensError
from lens.numerics import SWEEP_METRICS, Grid, Sweep
from lens.plans import Plan
from lens.views._curves import bin_of, traces
from lens.views._style import CIVIDIS, layout, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["grid", "inversions", "sweep"]

TITLES = {
    "change": "loss less the full model's (nats)",
    "loss": "loss (nats)",
    "kl": "KL from the full model (nats)",
    "agreement": "top-1 kept",
    "time": "time, × the full model's",
}


def grid(result: Grid, *, metric: str = "change", bin: str = "all") -> go.Figure:
    """A map of windows by first and last block; for strategies and loops one line a row, with bands of ± 2 errors.

    Of a grid that is broken down by bins, `bin` says which. LensError for what the grid does not hold.
    """
    import plotly.graph_objects as go

    _check(metric, (*SWEEP_METRICS, "time"))
    known = None if metric == "time" else result.sweep.bins[bin_of(result.sweep.bins, bin)]  # time has no bins
    estimate, title = result.of(metric, known), f"{result.sweep.model}: {result.title}"
    if result.row_axis == "start":
        plans = [[result.plan(r, c) for c in range(len(result.columns))] for r in range(len(result.rows))]
        heat = go.Heatmap(
            z=estimate.value,
            x=list(result.columns),
            y=[int(row) for row in result.rows],
            customdata=np.dstack([estimate.error, np.array(plans, object)]),
            colorscale=CIVIDIS,
            xgap=1,
            ygap=1,
            hoverongaps=False,
            colorbar={"title": {"text": TITLES[metric]}, "thickness": 12},
            hovertemplate="%{customdata[1]}: %{z:.3f} ± %{customdata[0]:.3f}<extra></extra>",
        )
        found = layout(title, "layer behind the window", "layer before it", hovermode="closest")
        found["yaxis"] |= {"autorange": "reversed"}
        return go.Figure(heat, found)
    named = result.row_axis == "recipe"
    lines = [
        trace
        for r, row in enumerate(result.rows)
        for trace in traces(row, row if named else f"M = {row}", list(result.columns), estimate[r])
    ]
    return go.Figure(lines, layout(title, "blocks in the window, M" if named else "loops, k", TITLES[metric]))


def sweep(result: Sweep, *, metric: str = "change", bin: str | None = None) -> go.Figure:
    """A point a row with ± 2 standard errors; of a sweep that is broken down by bins, `bin` says which.

    LensError for what the sweep does not hold.
    """
    import plotly.graph_objects as go

    _check(metric, SWEEP_METRICS)
    estimate = getattr(result, metric)[:, bin_of(result.bins, bin or "all")]
    points = go.Scatter(
        x=estimate.value,
        y=[plain(row) for row in result.rows],
        error_x={"type": "data", "array": 2 * estimate.error, "thickness": 1},
        mode="markers",
        hovertemplate="%{y}: %{x:.3f} ± %{error_x.array:.3f}<extra></extra>",
    )
    found = layout(f"{result.model}: plans", TITLES[metric], "", hovermode="closest")
    found["height"] = max(240, 60 + 22 * len(result.rows))
    found["yaxis"] |= {"autorange": "reversed", "automargin": True}
    return go.Figure(points, found)


def inversions(result: Sweep, *, metric: str = "change", bin: str = "all") -> go.Figure:
    """Each plan's pairs of blocks that run in the wrong order, against what it costs; of a row of several plans, the
    first's. Of a sweep that is broken down by bins, `bin` says which. LensError for what the sweep does not hold.
    """
    import plotly.graph_objects as go

    _check(metric, SWEEP_METRICS)
    estimate = getattr(result, metric)[:, bin_of(result.bins, bin)]
    points = go.Scatter(
        x=[Plan.parse(plans[0]).inversions for plans in result.plans],
        y=estimate.value,
        error_y={"type": "data", "array": 2 * estimate.error, "thickness": 1},
        text=[plain(plans[0]) for plans in result.plans],
        mode="markers",
        hovertemplate="%{text}<br>%{x} inversions: %{y:.3f}<extra></extra>",
    )
    title = f"{result.model}: orders of blocks"
    return go.Figure(points, layout(title, "pairs of blocks in the wrong order", TITLES[metric], hovermode="closest"))


def _check(metric: str, allowed: Any) -> None:
    if metric not in allowed:
        raise LensError(f"metric is {metric!r}: give {', '.join(allowed)}.")
