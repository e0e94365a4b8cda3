"""Top-k at one layer and position: read as it is, jumped by a linear map, and the full model's own."""

from __future__ import annotations

from typing import Any

from lens.numerics import Reading
from lens.panels._desk import Desk, Fitting
from lens.panels._shelf import Answer
from lens.panels._undo import Undoing, watch
from lens.panels.live import TopK

__all__ = ["Jump"]


class Jump(Undoing, TopK):
    """The bars of `id`, `mat` and the model beside each other, with their agreement."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self.undo = [
            watch(desk, ["answer", "busy", "problem", "fitting"], self._draw),
            watch(desk.session, ["source", "k"], self._draw),
            self.on_message("action", self._act),
        ]
        self._draw()

    def _act(self, message: dict[str, Any]) -> None:
        actions = {"fit": self._desk.fit, "stop": self._desk.stop_fit}
        if message.get("id") in actions:
            actions[message["id"]]()

    def _draw(self) -> None:
        answer: Answer | None = self._desk.answer
        session = self._desk.session
        self.show(busy=self._desk.stale, k=session.k)
        if answer and answer.reading:
            self.columns = columns(answer, session.source, session.k, self._desk.fitting)


def columns(answer: Answer, source: int, k: int, fitting: Fitting | None) -> list[dict[str, Any]]:
    """The three columns at `source`, from the answer's reading."""
    reading = answer.reading
    if reading is None:
        return []
    source = min(source, reading.target)
    onward = "" if reading.target == answer.model.n_blocks else ", then the real blocks"
    subtitles = {
        "id": f"layer {source} read as layer {reading.target}{onward}",
        "mat": f"layer {source} mapped to layer {reading.target}{onward}",
    }
    place = reading.positions.index(answer.position)
    drawn = [
        _cast(reading, cast, source, place, k, subtitles[cast])
        if cast in reading.casts
        else _absent(cast, answer, fitting)
        for cast in ("id", "mat")
    ]
    return [*drawn, _model(reading, place, k, answer.name)]


def _cast(reading: Reading, cast: str, source: int, place: int, k: int, subtitle: str) -> dict[str, Any]:
    at = reading.casts.index(cast), source, place
    facts = [
        ("entropy", f"{reading.entropy[at]:.2f} nats", "how undecided this prediction is"),
        ("KL", f"{reading.kl[at]:.2f} nats", "KL divergence of this prediction from the model's own"),
        ("surprisal", f"{reading.surprisal[at]:.2f} nats", "−ln of the model's probability for this top token"),
        ("rank", f"{reading.rank[at] + 1:,}", "place of the model's own top token here; 1 is the top"),
    ]
    ids, probabilities = reading.token_ids[at][:k], reading.probabilities[at][:k]
    return _column(cast, cast, subtitle, _rows(reading, ids, probabilities, place), facts)


def _model(reading: Reading, place: int, k: int, name: str) -> dict[str, Any]:
    rows = _rows(reading, reading.model_token_ids[place][:k], reading.model_probabilities[place][:k], place)
    facts = [
        ("entropy", f"{reading.model_entropy[place]:.2f} nats", "how undecided the model is"),
        ("surprisal", f"{reading.model_surprisal[place]:.2f} nats", "−ln of the probability of its top token"),
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
        "message": None,
        "action": None,
    }


def _rows(reading: Reading, ids: Any, probabilities: Any, place: int) -> list[dict[str, Any]]:
    top = int(reading.model_token_ids[place, 0])
    return [
        {"label": reading.labels[token], "probability": probability, "token_id": token, "agrees": token == top}
        for token, probability in zip(ids.tolist(), probabilities.tolist(), strict=True)
    ]
