"""Heat maps of held-out r², and of what two maps in a row lose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lens.errors import LensError
from lens.numerics import R2, VARIANTS, Composition
from lens.views._style import CIVIDIS, layout, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["composition", "r2_maps"]

TICKS = {"tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "ticktext": ["≤0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]}


def r2_maps(r2: R2, *, variant: str = "stream") -> go.Figure:
    """Every cast beside the others on one scale: source by target layer, the diagonal 1, nothing below it."""
    from plotly.subplots import make_subplots

    if variant not in r2.variants:
        raise LensError(f"This result holds {', '.join(r2.variants)}; {variant!r} is not among them.")
    figure = make_subplots(1, len(r2.casts), subplot_titles=[plain(cast) for cast in r2.casts], shared_yaxes=True)
    for place, cast in enumerate(r2.casts):
        figure.add_trace(_heat(r2.of(cast, variant), r2.n_blocks + 1), 1, place + 1)
    figure.update_layout(layout(f"{r2.model}: held-out {VARIANTS[variant]}", "", "", hovermode="closest", height=440))
    figure.update_layout(coloraxis={"colorscale": CIVIDIS, "cmin": 0, "cmax": 1, "colorbar": TICKS | {"thickness": 12}})
    figure.update_xaxes(title="target layer", constrain="domain", showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False, scaleanchor="x", constrain="domain")
    figure.update_yaxes(title="source layer", col=1)
    return figure


def composition(result: Composition) -> go.Figure:
    """r² lost by going from i to j and from j to the target, instead of straight: i by j."""
    import plotly.graph_objects as go

    loss = result.loss
    heat = go.Heatmap(
        z=loss.value,
        customdata=np.stack([loss.error, result.composed.value], -1),
        colorscale=CIVIDIS,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        colorbar={"title": {"text": "r² lost"}, "thickness": 12},
        hovertemplate="%{y} over %{x}: %{z:.4f} ± %{customdata[0]:.4f} lost, %{customdata[1]:.3f} kept<extra></extra>",
    )
    title = f"{result.model}: two {result.cast} maps in a row to layer {result.target}"
    found = layout(title, "layer between", "source layer", hovermode="closest")
    found["yaxis"] |= {"autorange": "reversed"}
    return go.Figure(heat, found)


def _heat(estimate: Any, size: int) -> Any:
    import plotly.graph_objects as go

    upper = np.triu(np.ones((size, size), bool))
    return go.Heatmap(
        z=np.where(upper, estimate.value, np.nan),
        customdata=estimate.error,
        coloraxis="coloraxis",
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="%{y} → %{x}: %{z:.3f} ± %{customdata:.3f}<extra></extra>",
    )
