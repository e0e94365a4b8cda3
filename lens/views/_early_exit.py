"""Leaving early: agreement kept against layers run, and where tokens leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lens.errors import LensError
from lens.numerics import EarlyExit
from lens.views._curves import traces
from lens.views._style import colour, layout

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["early_exit", "exit_layers"]


def early_exit(result: EarlyExit, *, agreement: float = 0.95) -> go.Figure:
    """One line a cast for leaving by confidence, dashed where all leave at one layer, with a guide at `agreement`."""
    import plotly.graph_objects as go

    lines = []
    for c, cast in enumerate(result.casts):
        order = np.argsort(result.layers.value[c], kind="stable")
        lines += traces(cast, cast, result.layers.value[c][order].tolist(), result.precision[c][order])
        depths = [float(layer) for layer in range(1, result.n_blocks + 1)]
        lines += traces(cast, f"{cast}, one layer for all", depths, result.fixed[c][1:], dash="dash")
    found = layout(f"{result.model}: leaving early", "layers run (mean)", "agreement with the full model")
    found["yaxis"] |= {"range": [0, 1.03], "tickformat": ".0%"}
    figure = go.Figure(lines, found | {"hovermode": "closest"})
    figure.add_hline(y=agreement, line={"dash": "dot", "width": 1}, annotation_text=f"{agreement:.0%}")
    return figure


def exit_layers(result: EarlyExit, *, cast: str = "mat", lam: float = 0.9) -> go.Figure:
    """How many tokens leave at each layer, for the λ nearest to `lam`."""
    import plotly.graph_objects as go

    if cast not in result.casts:
        raise LensError(f"This result holds {', '.join(result.casts)}; {cast!r} is not among them.")
    c = result.casts.index(cast)
    place = int(np.argmin(np.abs(np.array(result.lambdas[c]) - lam)))
    bars = go.Bar(x=list(range(result.n_blocks + 1)), y=result.exits[c, place], marker={"color": colour(cast)})
    title = f"{result.model}: where tokens leave, {cast} at λ = {result.lambdas[c][place]:g}"
    found = layout(title, "layer", "share of tokens")
    found["yaxis"] |= {"tickformat": ".0%"}
    return go.Figure(bars, found)
