"""Lines with bands: agreement, surprisal, KL or entropy by the number of layers that run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lens.errors import LensError
from lens.numerics import METRICS, Curves, Estimate
from lens.views._style import colour, faded, layout, plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["bin_of", "breakdown", "curves", "traces"]

TITLES = {
    "precision": "agreement with the full model",
    "surprisal": "surprisal (nats)",
    "kl": "KL from the model (nats)",
    "entropy": "entropy (nats)",
}


def curves(result: Curves, *, metric: str = "precision", k: int = 1, bin: str = "all") -> go.Figure:
    """One line a method, with bands of ± 2 standard errors; for "precision", Precision@k.

    Of a result that is broken down by bins, `bin` says which. LensError for what the result does not hold.
    """
    import plotly.graph_objects as go

    place, at = _place(result, metric, k), bin_of(result.bins, bin)
    estimate: Estimate = getattr(result, metric)
    lines = [
        trace
        for m, method in enumerate(result.methods)
        for trace in traces(method, method, list(result.layers), estimate[(m, slice(None), at, *place)])
    ]
    name = f"Precision@{k}" if metric == "precision" else metric.capitalize()
    return go.Figure(lines, _layout(f"{result.model}: {name}", metric))


def breakdown(result: Curves, *, method: str, metric: str = "precision", k: int = 1) -> go.Figure:
    """One line a bin of tokens, for one method."""
    import plotly.graph_objects as go

    if method not in result.methods:
        raise LensError(f"This result holds {', '.join(result.methods)}; {method!r} is not among them.")
    place, m = _place(result, metric, k), result.methods.index(method)
    estimate: Estimate = getattr(result, metric)
    held = [b for b in range(len(result.bins)) if result.tokens[b] > 0]
    shades = [f"hsl({210 - 170 * n / max(1, len(held) - 1):.0f},60%,45%)" for n in range(len(held))]
    lines = []
    for b, shade in zip(held, shades, strict=True):
        found = estimate[(m, slice(None), b, *place)]
        errors = {"type": "data", "array": 2 * found.error, "thickness": 1}
        name = plain(f"{result.bins[b]} (n = {result.tokens[b]:,})")
        lines.append(go.Scatter(x=list(result.layers), y=found.value, error_y=errors, name=name, line={"color": shade}))
    return go.Figure(lines, _layout(f"{result.model}: {method}", metric))


def traces(key: str, name: str, x: list[float], estimate: Estimate, *, dash: str = "solid") -> list[Any]:
    """A line and the band around it."""
    import plotly.graph_objects as go

    value, error = estimate.value, estimate.error
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, "legendgroup": name}
    lower = go.Scatter(x=x, y=value - 2 * error, **edge)
    upper = go.Scatter(x=x, y=value + 2 * error, fill="tonexty", fillcolor=faded(key), **edge)
    line = go.Scatter(
        x=x,
        y=value,
        customdata=error,
        name=plain(name),
        legendgroup=name,
        mode="lines+markers",
        line={"color": colour(key), "dash": dash},
        hovertemplate="%{y:.3f} ± %{customdata:.3f}",
    )
    return [lower, upper, line]


def bin_of(bins: Sequence[str], bin: str) -> int:
    """The place of a bin; LensError, naming those there are, where it is none."""
    if bin not in bins:
        raise LensError(f"This result holds {', '.join(bins)}; {bin!r} is not among them.")
    return bins.index(bin)


def _place(result: Curves, metric: str, k: int) -> tuple[int, ...]:
    if metric not in METRICS or (metric == "precision" and k not in result.ks):
        raise LensError(f"This result holds {', '.join(METRICS)} and k = {', '.join(map(str, result.ks))}.")
    return (result.ks.index(k),) if metric == "precision" else ()


def _layout(title: str, metric: str) -> dict[str, Any]:
    found = layout(title, "layers that run in full", TITLES[metric])
    if metric == "precision":
        found["yaxis"] |= {"range": [0, 1.03], "tickformat": ".0%"}
    return found
