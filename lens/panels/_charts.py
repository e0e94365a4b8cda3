"""From results to the specs that live charts draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lens.numerics import Curves, EarlyExit, Estimate

__all__ = ["BAND", "METRIC_TITLES", "curve_spec", "exit_spec", "line"]

METRIC_TITLES = {
    "precision": "Precision",
    "surprisal": "Surprisal (nats)",
    "kl": "KL from the model (nats)",
    "entropy": "Entropy (nats)",
}
BAND = "Bands are ± 2 standard errors over sentences."


def curve_spec(result: Curves, metric: str, k: int, marker: int | None, note: str = "") -> dict[str, Any]:
    """One measure of every method by the number of layers that run in full."""
    share = metric == "precision"
    estimate: Estimate = getattr(result, metric)
    place = (..., 0, result.ks.index(k)) if share else (..., 0)
    found = estimate[place]
    lines = [line(method, method, found.value[m], found.error[m]) for m, method in enumerate(result.methods)]
    title = f"Precision@{k}" if share else METRIC_TITLES[metric].split(" (")[0]
    seen = f"{int(result.tokens.sum()):,} tokens of {result.sentences:,} held-out sentences. {BAND}"
    return {
        "title": title,
        "note": f"{note} {seen}".strip(),
        "x": {"label": "layer", "values": list(result.layers)},
        "y": {
            "label": "agreement with the full model" if share else METRIC_TITLES[metric],
            "low": 0,
            "high": 1 if share else None,
            "format": "percent" if share else "number",
        },
        "lines": lines,
        "marker": None if marker is None else {"x": marker},
    }


def exit_spec(result: EarlyExit, lam: float, cast: str) -> dict[str, Any]:
    """Agreement kept against layers run, one line a cast, dashed where all leave at one layer."""
    lines = []
    for c, name in enumerate(result.casts):
        order = np.argsort(result.layers.value[c], kind="stable")
        kept = result.precision[c]
        lines.append(
            line(name, name, kept.value[order], kept.error[order]) | {"x": _numbers(result.layers.value[c][order])}
        )
        fixed = line(
            f"{name} fixed", f"{name}, one layer for all", result.fixed.value[c, 1:], result.fixed.error[c, 1:]
        )
        lines.append(fixed | {"style": "dash", "x": list(range(1, result.n_blocks + 1))})
    place = int(np.argmin(np.abs(np.array(result.lambdas[0]) - lam)))
    at = result.casts.index(cast) if cast in result.casts else 0
    return {
        "title": "Agreement kept against layers run",
        "note": f"{result.tokens:,} tokens of {result.sentences:,} held-out sentences; one point for each λ. {BAND}",
        "x": {"label": "layers run", "values": [], "low": 0, "high": result.n_blocks},
        "y": {"label": "agreement with the full model", "low": 0, "high": 1, "format": "percent"},
        "lines": lines,
        "marker": {"x": float(result.layers.value[at, place])},
        "guides": [{"y": 0.95, "title": "95 %"}],
    }


def line(key: str, title: str, values: Any, errors: Any) -> dict[str, Any]:
    """One line with its band."""
    return {"key": key, "title": title, "values": _numbers(values), "errors": _numbers(errors)}


def _numbers(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in np.asarray(values, float)]
