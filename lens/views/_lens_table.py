"""The lens table as a figure: to look at longer, to save, to print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lens.errors import LensError
from lens.numerics import NO_TOKEN, Reading
from lens.views._style import plain

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["Metric", "lens_table"]

Metric = Literal["probability", "entropy", "rank", "kl", "surprisal"]
TITLES = {
    "probability": "probability",
    "entropy": "entropy (nats)",
    "rank": "rank of the model's top token",
    "kl": "KL from the model (nats)",
    "surprisal": "surprisal (nats)",
}


def lens_table(reading: Reading, *, cast: str = "mat", metric: Metric = "probability") -> go.Figure:
    """Boundaries × tokens: the top prediction of `cast` in each cell, coloured by `metric`; hover lists five."""
    import plotly.graph_objects as go

    if cast not in reading.casts or metric not in TITLES:
        raise LensError(
            f"This reading holds the casts {', '.join(reading.casts)} and the metrics {', '.join(TITLES)}; "
            f"{cast!r} by {metric!r} is not among them."
        )
    place = reading.casts.index(cast)
    values = reading.probabilities[place, :, :, 0] if metric == "probability" else getattr(reading, metric)[place]
    values = np.where(reading.token_ids[place, :, :, 0] == NO_TOKEN, np.nan, values)  # a rank of -1 is no place
    heat = go.Heatmap(
        z=values,
        y=[f"layer {source}" for source in reading.sources],
        text=_labels(reading, reading.token_ids[place, :, :, 0]),
        customdata=_listed(reading, place),
        texttemplate="%{text}",
        hovertemplate="%{y}<br>%{customdata}<extra></extra>",
        colorscale="Cividis",
        reversescale=metric != "probability",
        colorbar={"title": {"text": TITLES[metric]}},
        xgap=1,
        ygap=1,
    )
    tokens = [plain(reading.tokens[position]) for position in reading.positions]
    layout = {
        "title": {"text": plain(f"{reading.model}: {cast} to layer {reading.target}")},
        "xaxis": {"tickvals": list(range(len(tokens))), "ticktext": tokens, "side": "top"},
        "template": "plotly_white",
        "height": 120 + 28 * len(reading.sources),
    }
    return go.Figure(heat, layout)


def _labels(reading: Reading, ids: Any) -> Any:
    return np.array([plain(reading.labels[token]) for token in ids.ravel().tolist()], object).reshape(ids.shape)


def _listed(reading: Reading, place: int) -> list[list[str]]:
    """For each cell its five most probable tokens, a line each."""
    ids, shares = reading.token_ids[place, :, :, :5].tolist(), reading.probabilities[place, :, :, :5].tolist()

    def cell(tokens: list[int], probabilities: list[float]) -> str:
        pairs = zip(tokens, probabilities, strict=True)
        if tokens[0] == NO_TOKEN:
            return plain(reading.labels[NO_TOKEN])
        return "<br>".join(f"{plain(reading.labels[token])} {share:.1%}" for token, share in pairs)

    return [[cell(*pair) for pair in zip(*rows, strict=True)] for rows in zip(ids, shares, strict=True)]
