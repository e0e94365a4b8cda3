"""The sentence, the model, the tokens and the layers: what every panel is asked about."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import ipywidgets as widgets

from lens.models import embedded
from lens.panels._desk import Desk
from lens.panels._shelf import Answer
from lens.panels._undo import Undoing, watch
from lens.panels._work import Problem
from lens.panels.live import Chips, Notice, Sentence

__all__ = ["Header", "chips_of"]

SAID = 8  # things that a link left out are told one by one
AWAY = Problem("The engine went away in the middle of this. It is asked again by itself as soon as it is back.", "info")


class Header(Undoing, widgets.VBox):
    """Controls of a session. Sliders stay within the model's layers; moving one past the other takes it along."""

    def __init__(
        self, desk: Desk, controls: Collection[str] | None = None, *, actions: Sequence[widgets.Widget] = ()
    ) -> None:
        """All controls under a title with `actions` beside it, or, of a panel alone, only those named."""
        self._desk = desk
        session = desk.session
        self.model = widgets.Combobox(
            value=session.model,
            options=embedded(),
            ensure_option=False,
            continuous_update=False,
            description="Model",
            placeholder="demo, a folder, or a Hugging Face name",
            style={"description_width": "initial"},
        )
        self.sentence = Sentence(value=session.text, placeholder="Type a sentence")
        self.notice = Notice()
        self.chips = Chips()
        self.source = widgets.IntSlider(0, 0, 1, description="Source layer", disabled=True)  # until a model is there
        self.target = widgets.IntSlider(1, 0, 1, description="Target layer", disabled=True)
        self.k = widgets.IntSlider(session.k, 1, 20, description="Predictions")
        self.told = Notice()
        super().__init__(list(self._rows(controls, actions)))
        self.add_class("lens-header")
        self._drawing = False
        self.undo = [*self._follow_session(), *self._follow_person()]
        self._left_out: list[str] = []
        self.undo.append(self.told.on_message("action", lambda _: self.tell_left_out([])))
        self.undo.append(watch(desk, ["left_out"], lambda: self.tell_left_out([*self._left_out, *desk.left_out])))
        self.undo.append(self.notice.on_message("action", lambda _: desk.ask()))
        self.undo.append(watch(desk, ["answer", "problem", "busy", "loading"], self._draw))
        self.undo.append(watch(desk.work, ["away"], self._draw))
        self.undo.append(watch(session, ["source"], self._draw))
        self._draw()

    def tell_left_out(self, left_out: list[str]) -> None:
        """Say what of the choices could not be followed, until it is put away."""
        self._left_out = left_out
        if not left_out:
            self.told.clear()
            return
        shown = "; ".join(left_out[:SAID]) + ("; …" if len(left_out) > SAID else "")
        self.told.info(
            "This view could not be opened in full.", f"Left out: {shown}.", {"id": "put away", "label": "Put away"}
        )

    def _rows(self, controls: Collection[str] | None, actions: Sequence[widgets.Widget]) -> Iterator[widgets.Widget]:
        if controls is None:
            title = widgets.HTML("<h1>lens</h1>")
            title.add_class("lens-title")
            beside = widgets.HBox(list(actions))
            beside.add_class("lens-actions")
            top = widgets.HBox([title, self.model, beside])
            top.add_class("lens-top")
            yield top
        yield self.told
        if controls is None or "sentence" in controls:
            yield self.sentence
        yield self.notice
        if controls is None or "sentence" in controls:
            yield self.chips
        sliders = {"source": self.source, "target": self.target, "k": self.k}
        shown = [slider for name, slider in sliders.items() if controls is None or name in controls]
        if shown:
            row = widgets.HBox(shown)
            row.add_class("lens-controls")
            yield row

    def _follow_session(self) -> list[Any]:
        session = self._desk.session
        links = [("model", self.model), ("text", self.sentence), ("k", self.k)]
        return [widgets.link((session, name), (control, "value")).unlink for name, control in links]

    def _follow_person(self) -> list[Any]:
        self.source.observe(self._source_moved, "value")
        self.target.observe(self._target_moved, "value")
        controls = [self.source.unobserve_all, self.target.unobserve_all]
        return [*controls, self.chips.on_message("pick", self._chip)]

    def _source_moved(self, change: Any) -> None:
        if self._drawing:
            return
        self._desk.session.source = change["new"]
        if change["new"] > self.target.value:
            self.target.value = change["new"]

    def _target_moved(self, change: Any) -> None:
        if self._drawing:
            return
        last = change["new"] == self.target.max
        self._desk.session.target = None if last else change["new"]
        if change["new"] < self._desk.session.source:
            self._desk.session.source = change["new"]

    def _chip(self, message: dict[str, Any]) -> None:
        self._desk.pick(int(message["position"]))
        self._draw()  # a click that changes nothing must not leave its mark

    def _draw(self) -> None:
        answer: Answer | None = self._desk.answer
        self.chips.busy = self._desk.busy
        self.sentence.note = self._desk.loading or (_note(answer) if answer and not self._blank() else "")
        if answer is not None:
            self._draw_answer(answer)
        # last: whoever follows its advice finds the tokens that it speaks of
        self._draw_notice(AWAY if self._desk.work.away else self._desk.problem)

    def _blank(self) -> bool:
        problem = self._desk.problem
        return problem is not None and problem.blank

    def _draw_answer(self, answer: Answer) -> None:
        self._drawing = True
        try:
            self._draw_layers(answer)
        finally:
            self._drawing = False
        self.chips.show(tokens=chips_of(answer), position=answer.position if answer.reading else -1, hint=_hint(answer))

    def _draw_layers(self, answer: Answer) -> None:
        session, n_blocks = self._desk.session, answer.model.n_blocks
        for slider in (self.source, self.target):
            slider.max = n_blocks
            slider.disabled = False
        self.source.value = session.source  # the session, not the answer: a slider under the hand never jumps back
        self.target.value = n_blocks if session.target is None else session.target

    def _draw_notice(self, problem: Problem | None) -> None:
        action = {"id": "again", "label": "Ask again"} if problem and problem.passes else None
        self.notice.show(kind=problem.kind if problem else "none", text=problem.text if problem else "", action=action)


def chips_of(answer: Answer) -> list[dict[str, Any]]:
    """The tokens of an answer, as chips."""
    tokens = answer.tokens
    return [
        {"label": label, "special": special, "masked": place in tokens.masks, "title": f"token {place}, id {token}"}
        for place, (label, special, token) in enumerate(zip(tokens.labels, tokens.special, tokens.ids, strict=True))
    ]


def _hint(answer: Answer) -> str:
    if answer.model.kind == "causal":
        return "Pick the token after which to predict"
    return "Click a word to mask it; click the mask to put its word back"


def _note(answer: Answer) -> str:
    tokens = answer.tokens
    count = len(tokens.ids)
    if tokens.total > count:
        reader = answer.name if count == answer.model.context else "lens"
        return f"{reader} reads the first {count:,} of {tokens.total:,} tokens"
    return f"{count:,} token{'s' if count != 1 else ''}"
