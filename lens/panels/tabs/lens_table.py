"""The lens table: boundaries × tokens, the top prediction in each cell."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.numerics import NO_TOKEN, Reading
from lens.panels._desk import Desk
from lens.panels._doubt import highest, places
from lens.panels._panel import Panel, Seen
from lens.panels._python import opening, program
from lens.panels._session import METRICS
from lens.panels._shelf import Answer
from lens.panels._undo import watch
from lens.panels.live import LensTable as LiveTable
from lens.panels.tabs.jump import reading_call

__all__ = ["PANEL", "LensTable", "picture"]

SHOWN = 10  # predictions in a cell's tooltip
DESCRIBED = {
    "probability": ("Probability", "", "high"),
    "entropy": ("Entropy", "nats", "low"),
    "rank": ("Rank", "", "low"),
    "kl": ("KL", "nats", "low"),
    "surprisal": ("Surprisal", "nats", "low"),
}


class LensTable(Seen, LiveTable):
    """Draws the session's reading; a click on a cell sets source and position."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._drawn: Reading | None = None
        self.undo = [
            *(widgets.link((desk.session, name), (self, name)).unlink for name in ("cast", "metric")),
            watch(desk, ["answer", "busy", "problem"], self.draw),
            watch(desk.session, ["source"], self._select),
            self.on_message("pick", self._pick),
        ]

    def python(self) -> str:
        """Read the sentence, and take the top prediction and the measures of every cell."""
        return program(
            *opening(self._desk),
            reading_call(self._desk),
            "best = reading.frame().query('rank == 0').drop(columns='rank')",
            "frame = best.merge(reading.scores(), on=['cast', 'source', 'target', 'position'])",
        )

    def _pick(self, message: dict[str, Any]) -> None:
        answer: Answer | None = self._desk.answer
        if answer is None or answer.reading is None:
            return
        if 0 <= (source := int(message["source"])) <= answer.reading.target:
            self._desk.session.source = source
        position = int(message["position"])
        if answer.model.kind == "causal" or position in answer.tokens.masks:
            self._desk.pick(position)

    def _select(self) -> None:
        answer: Answer | None = self._desk.answer
        # a selection belongs to the table that it was made in
        position = answer.position if answer and answer.reading is self._drawn else self.position
        self.show(source=self._desk.session.source, position=position)

    def draw(self) -> None:
        """Draw the reading, once for each."""
        answer: Answer | None = self._desk.answer
        if not self.visible:
            return
        self.busy = self._desk.stale
        if answer and answer.reading and answer.reading is not self._drawn:
            self._drawn = answer.reading
            self.fill(**picture(answer, answer.reading), source=self._desk.session.source, position=answer.position)
        else:
            self._select()


def picture(answer: Answer, reading: Reading, k: int = SHOWN) -> dict[str, Any]:
    """Everything the picture needs, so that switching cast or metric asks nothing of the kernel."""
    k = min(k, reading.k)
    ids = np.concatenate([reading.token_ids, _model_row(reading, reading.model_token_ids)], axis=1)[..., :k]
    probabilities = np.concatenate([reading.probabilities, _model_row(reading, reading.model_probabilities)], axis=1)
    known, places = np.unique(ids, return_inverse=True)
    tokens = answer.tokens
    return {
        "spec": {
            "layers": list(reading.sources),
            "columns": [
                {"label": tokens.labels[p], "special": tokens.special[p], "masked": p in tokens.masks}
                for p in reading.positions
            ],
            "casts": list(reading.casts),
            "k": k,
            "ids": known.tolist(),
            "vocabulary": [reading.labels[token] for token in known.tolist()],
            "metrics": [_metric(reading, name) for name in METRICS],
            "positions": list(reading.positions),
            "target": reading.target,
            "title": "Every layer, every token",
            "note": f"{answer.name} · {answer.model.n_blocks} blocks · read at layer {reading.target}",
        },
        "top": places.reshape(ids.shape),
        "probabilities": probabilities[..., :k],
        "scores": np.stack([_plane(reading, name) for name in METRICS]),
    }


def _model_row(reading: Reading, values: Any) -> Any:
    """(P, …) of the full model as a last row (C, 1, P, …) under each cast."""
    return np.broadcast_to(values, (len(reading.casts), 1, *values.shape))


def _plane(reading: Reading, metric: str) -> Any:
    """(C, S + 1, P): the metric of each source, then of the model itself."""
    nothing = np.where(reading.model_token_ids[:, 0] == NO_TOKEN, np.nan, 0.0)
    own = {
        "probability": reading.model_probabilities[:, 0],
        "entropy": reading.model_entropy,
        "rank": nothing + 1,
        "kl": nothing,
        "surprisal": reading.model_surprisal,
    }[metric]
    values = {
        "probability": reading.probabilities[..., 0],
        "rank": places(reading.rank),
    }.get(metric)  # people count from 1
    values = getattr(reading, metric) if values is None else values
    return np.concatenate([values, _model_row(reading, own)], axis=1)


def _metric(reading: Reading, name: str) -> dict[str, Any]:
    title, unit, better = DESCRIBED[name]
    plane = _plane(reading, name)
    low, most = (1.0 if name == "rank" else 0.0), (1.0 if name == "probability" else highest(plane))
    # layer 0 is so far from the end that a scale up to it would leave all others in one colour
    high = highest(plane[:, 1:]) if name in ("kl", "surprisal") and len(reading.sources) > 1 else most
    return {"key": name, "title": title, "unit": unit, "low": low, "high": high, "most": most, "better": better}


PANEL = Panel(
    "lens_table",
    "Lens table",
    1,
    "The top prediction of every layer at every token.",
    LensTable,
    ("sentence", "target"),
)
