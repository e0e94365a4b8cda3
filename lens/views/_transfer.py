"""Maps of one corpus on another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lens.numerics import Transfer
from lens.views._style import layout, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["transfer"]

SHADES = ("#2f7bc8", "#d9730d", "#128a63", "#b0447f")


def transfer(result: Transfer) -> go.Figure:
    """Precision@1 by layer, a colour for the corpus that is scored, dashed where the maps are another's."""
    import plotly.graph_objects as go

    lines = []
    for a, fitted in enumerate(result.corpora):
        for b, scored in enumerate(result.corpora):
            curves = result.curves[a][b]
            estimate = curves.precision[0, :, 0, 0]
            line = {"color": SHADES[b % len(SHADES)], "dash": "solid" if a == b else "dash"}
            errors = {"type": "data", "array": 2 * estimate.error, "thickness": 1}
            name = plain(f"{fitted} on {scored}")
            lines.append(go.Scatter(x=list(curves.layers), y=estimate.value, error_y=errors, name=name, line=line))
    found = layout(f"{result.model}: {result.cast} fitted on one corpus, scored on another", "layer", "Precision@1")
    found["yaxis"] |= {"range": [0, 1.03], "tickformat": ".0%"}
    return go.Figure(lines, found)
