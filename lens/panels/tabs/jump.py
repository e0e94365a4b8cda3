"""Top-k at one layer and position: read as it is, jumped by fitted maps, and the full model's own."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.numerics import NO_TOKEN, Reading
from lens.panels._desk import Desk
from lens.panels._doubt import NOT_FINITE, number, places
from lens.panels._fitting import Fitter, Fitting
from lens.panels._panel import Panel, Seen
from lens.panels._python import call, opening, program
from lens.panels._session import METRICS
from lens.panels._shelf import Answer
from lens.panels._style import PLAIN
from lens.panels._undo import watch
from lens.panels.live import Chart, TopK

__all__ = ["PANEL", "Jump", "columns"]

MEASURES = {
    "probability": "probability of the top prediction",
    "entropy": "entropy (nats)",
    "rank": "1 ÷ rank of the model's top token",
    "kl": "KL from the model (nats)",
    "surprisal": "surprisal (nats)",
}


class Jump(Seen, widgets.VBox):
    """The bars of every cast and of the model beside each other, and how a measure goes from layer to layer."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._fitter = Fitter(desk)
        self.topk, self.path = TopK(), Chart()
        self.metric = widgets.Dropdown(options=METRICS, description="By layer", style=PLAIN)
        controls = widgets.HBox([self.metric])
        controls.add_class("lens-controls")
        super().__init__([self.topk, controls, self.path])
        self.undo = [
            widgets.link((desk.session, "metric"), (self.metric, "value")).unlink,
            watch(desk, ["answer", "busy", "problem"], self.draw),
            watch(self._fitter, ["state"], self.draw),
            watch(desk.session, ["source", "k", "metric"], self.draw),
            self.topk.on_message("action", self._act),
            self.path.on_message("pick", self._pick),
        ]

    def python(self) -> str:
        """Read the sentence, and take the rows of this layer; at the target layer `id` is the full model itself."""
        session, answer = self._desk.session, self._desk.answer
        layers = min(session.source, answer.target), answer.target
        return program(
            *opening(self._desk),
            reading_call(self._desk),
            f"frame = reading.frame().query('position == {answer.position} and source in {layers}')",
        )

    def draw(self) -> None:
        """Draw the bars and the path through the layers."""
        answer: Answer | None = self._desk.answer
        session = self._desk.session
        if not self.visible:
            return
        self.topk.show(busy=self._desk.stale, k=session.k)
        self.path.busy = self._desk.stale
        if answer and answer.reading:
            self.topk.columns = columns(answer, session.source, session.k, self._fitter.state)
            self.path.spec = path(answer, answer.reading, session.metric, session.source)

    def _act(self, message: dict[str, Any]) -> None:
        actions = {"fit": self._fitter.start, "stop": self._fitter.stop}
        if message.get("id") in actions:
            actions[message["id"]]()

    def _pick(self, message: dict[str, Any]) -> None:
        answer: Answer | None = self._desk.answer
        if answer is not None and isinstance(message.get("x"), (int, float)):
            self._desk.session.source = min(max(0, int(message["x"])), answer.target)


def reading_call(desk: Desk) -> str:
    """The call of `lens.read` behind what is on screen."""
    answer, session = desk.answer, desk.session
    casts = answer.reading.casts if answer.reading else ("id",)
    return call(
        "reading = lens.read",
        "model",
        repr(answer.question.text),
        casts=None if casts == ("id", "mat") else casts,
        target=None if answer.target == answer.model.n_blocks else answer.target,
        k=session.k,
        maps="=maps" if desk.own_maps else None,
    )


def path(answer: Answer, reading: Reading, metric: str, source: int) -> dict[str, Any]:
    """One measure at the token that is looked at, by the layer that is read."""
    place = reading.positions.index(answer.position)
    share = metric in ("probability", "rank")
    known: dict[str, Any] = {
        "probability": reading.probabilities[..., 0],
        "rank": 1 / np.where(reading.rank < 0, np.nan, reading.rank + 1.0),
    }
    values = (known[metric] if metric in known else getattr(reading, metric))[:, :, place]
    title = MEASURES[metric]
    where = "After" if answer.model.kind == "causal" else "At"
    return {
        "title": f"{title[0].upper()}{title[1:]}, layer by layer",
        "note": f"{where} {reading.tokens[answer.position]!r}. Click a layer to read it.",
        "x": {"label": "layer", "values": list(reading.sources)},
        "y": {"label": title, "low": 0, "high": 1 if share else None, "format": "number"},
        "lines": [
            {"key": cast, "title": cast, "values": _numbers(line), "errors": [None] * len(line)}
            for cast, line in zip(reading.casts, values, strict=True)
        ],
        "marker": {"x": min(source, reading.target)},
    }


def _numbers(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def columns(answer: Answer, source: int, k: int, fitting: Fitting | None) -> list[dict[str, Any]]:
    """The three columns at `source`, from the answer's reading."""
    reading = answer.reading
    if reading is None:
        return []
    source = min(source, reading.target)
    onward = "" if reading.target == answer.model.n_blocks else ", then the real blocks"
    place = reading.positions.index(answer.position)
    drawn = [
        _cast(reading, cast, source, place, k, f"{_how(cast, source, reading.target)}{onward}")
        if cast in reading.casts
        else _absent(cast, answer, fitting)
        for cast in dict.fromkeys(("id", "mat", *reading.casts))
    ]
    return [*drawn, _model(reading, place, k, answer.name)]


def _how(cast: str, source: int, target: int) -> str:
    return f"layer {source} {'read as' if cast == 'id' else 'mapped to'} layer {target}"


def _cast(reading: Reading, cast: str, source: int, place: int, k: int, subtitle: str) -> dict[str, Any]:
    at = reading.casts.index(cast), source, place
    facts = [
        ("entropy", number(reading.entropy[at]), "how undecided this prediction is"),
        ("KL", number(reading.kl[at]), "KL divergence of this prediction from the model's own"),
        ("surprisal", number(reading.surprisal[at]), "−ln of the model's probability for this top token"),
        (
            "rank",
            number(places(reading.rank[at]), ",.0f", ""),
            "place of the model's own top token here; 1 is the top",
        ),
    ]
    ids, probabilities = reading.token_ids[at][:k], reading.probabilities[at][:k]
    return _column(cast, cast, subtitle, _rows(reading, ids, probabilities, place), facts)


def _model(reading: Reading, place: int, k: int, name: str) -> dict[str, Any]:
    rows = _rows(reading, reading.model_token_ids[place][:k], reading.model_probabilities[place][:k], place)
    facts = [
        ("entropy", number(reading.model_entropy[place]), "how undecided the model is"),
        ("surprisal", number(reading.model_surprisal[place]), "−ln of the probability of its top token"),
    ]
    return _column("model", "model", f"{name}, all layers", rows, facts)


def _absent(cast: str, answer: Answer, fitting: Fitting | None) -> dict[str, Any]:
    column = _column(cast, cast, "linear map", [], [])
    ours = fitting if fitting and fitting.model == answer.model.name else None
    if ours and ours.running:
        return column | {"message": ours.text, "action": {"id": "stop", "label": "Stop"}}
    message = ours.text if ours else answer.absent[cast]
    elsewhere = fitting is not None and fitting.running  # one fit at a time
    return column | {"message": message, "action": None if elsewhere else {"id": "fit", "label": "Fit maps now"}}


def _column(key: str, title: str, subtitle: str, rows: list[Any], facts: list[tuple[str, str, str]]) -> dict[str, Any]:
    named = [dict(zip(("name", "value", "title"), fact, strict=True)) for fact in facts]
    return {
        "key": key,
        "title": title,
        "subtitle": subtitle,
        "rows": rows,
        "facts": named,
        "message": None if rows else NOT_FINITE,
        "action": None,
    }


def _rows(reading: Reading, ids: Any, probabilities: Any, place: int) -> list[dict[str, Any]]:
    top = int(reading.model_token_ids[place, 0])
    return [
        {"label": reading.labels[token], "probability": probability, "token_id": token, "agrees": token == top}
        for token, probability in zip(ids.tolist(), probabilities.tolist(), strict=True)
        if token != NO_TOKEN
    ]


PANEL = Panel(
    "jump",
    "Jump",
    0,
    "What one layer predicts at one token, under each cast, beside the full model.",
    Jump,
    ("sentence", "source", "target", "k"),
)
