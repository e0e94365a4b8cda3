"""Figures in a page that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["figure_html", "plotly_script"]


def plotly_script() -> str:
    """plotly's own script, to stand in a page once."""
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script


def figure_html(figure: go.Figure) -> str:
    """The figure as a piece of a page that holds `plotly_script`."""
    html: str = figure.to_html(
        full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True}
    )
    return html
