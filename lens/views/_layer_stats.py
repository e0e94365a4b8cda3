"""What layers do: cosines in four versions, what skipping costs, and who depends on whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lens.numerics import COSINES, LayerStats
from lens.views._curves import traces
from lens.views._style import CIVIDIS, layout

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["cosines", "importance", "skip_effect"]

NAMES = {"flattened": "flattened", "token": "per token", "inner": "without the first token", "centred": "mean-centred"}


def cosines(result: LayerStats) -> go.Figure:
    """Four cosine matrices of layers on one scale: the paper's, and three without what rules it."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(2, 2, subplot_titles=list(NAMES.values()), horizontal_spacing=0.1, vertical_spacing=0.14)
    for place, version in enumerate(COSINES):
        heat = go.Heatmap(
            z=result.cosine(version).value,
            customdata=result.cosine(version).error,
            coloraxis="coloraxis",
            hovertemplate="%{y}, %{x}: %{z:.3f} ± %{customdata:.3f}<extra></extra>",
        )
        figure.add_trace(heat, place // 2 + 1, place % 2 + 1)
    title = f"{result.model}: cosine between layers"
    figure.update_layout(layout(title, "", "", hovermode="closest", height=760))
    figure.update_layout(coloraxis={"colorscale": CIVIDIS, "cmax": 1, "colorbar": {"thickness": 12}})
    figure.update_yaxes(autorange="reversed", constrain="domain")
    figure.update_xaxes(constrain="domain")
    return figure


def importance(result: LayerStats) -> go.Figure:
    """The measured loss of skipping each block, and Block Influence on an axis of its own."""
    import plotly.graph_objects as go

    blocks: list[Any] = list(range(result.n_blocks))
    loss = traces("~ffn", "measured loss of skipping", blocks, result.skip_change)
    influence = traces("~attn", "Block Influence (right)", blocks, result.influence)
    for trace in influence:
        trace.update(yaxis="y2")
    title = f"{result.model}: blocks, rank correlation {result.rank_correlation:.2f}"
    right = {"overlaying": "y", "side": "right", "title": {"text": "1 − cosine"}, "showgrid": False}
    return go.Figure([*loss, *influence], layout(title, "block", "nats", yaxis2=right))


def skip_effect(result: LayerStats) -> go.Figure:
    """How much each later block's update changes when a block is skipped."""
    import plotly.graph_objects as go

    heat = go.Heatmap(
        z=result.skip_effect.value,
        customdata=result.skip_effect.error,
        colorscale=CIVIDIS,
        hoverongaps=False,
        colorbar={"title": {"text": "relative change"}, "thickness": 12},
        hovertemplate="without %{y}, update of %{x}: %{z:.3f} ± %{customdata:.3f}<extra></extra>",
    )
    found = layout(f"{result.model}: who depends on whom", "later block", "block left out", hovermode="closest")
    found["yaxis"] |= {"autorange": "reversed"}
    return go.Figure(heat, found)
