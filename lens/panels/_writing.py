"""Writing on with a plan and with the full model, beside each other, a token at a time."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import zip_longest
from typing import Any

import ipywidgets as widgets

from lens.errors import LensError
from lens.execution import generation
from lens.numerics import Generation
from lens.panels._desk import Desk
from lens.panels._shelf import Answer
from lens.panels._style import PLAIN
from lens.panels._work import Problem
from lens.plans import Plan

__all__ = ["Writing"]


class Writing(widgets.VBox):
    """A button, how much and how freely to write, and what both have written so far."""

    def __init__(self, desk: Desk, plan: Callable[[], Plan]) -> None:
        """`plan` gives the plan that stands, or raises LensError."""
        self._desk, self._plan = desk, plan
        self.write = widgets.Button(description="Write on with both")
        self.stop = widgets.Button(description="Stop")
        self.count = widgets.IntSlider(32, min=1, max=200, description="Tokens", style=PLAIN)
        self.temperature = widgets.FloatSlider(0.0, min=0, max=2, step=0.1, description="Temperature", style=PLAIN)
        self.written = widgets.HTML()
        controls = widgets.HBox([self.write, self.stop, self.count, self.temperature])
        controls.add_class("lens-controls")
        super().__init__([controls, self.written])
        self.stop.layout.display = "none"
        self.write.on_click(lambda _: self._write())
        self.stop.on_click(lambda _: self._stopped())

    def _write(self) -> None:
        answer: Answer | None = self._desk.answer
        if answer is None:
            return
        try:
            plan = self._plan()
        except LensError:
            return
        model, text, maps = answer.model, answer.question.text, self._desk.maps
        options: dict[str, Any] = {"max_new_tokens": self.count.value, "temperature": self.temperature.value}

        def work(report: Any) -> None:
            ways = (generation(model, text, each, maps=maps, **options) for each in (plan, None))
            last: list[Generation | None] = [None, None]
            for pair in zip_longest(*ways):
                last = [new or old for new, old in zip(pair, last, strict=True)]
                report(tuple(last))

        self.stop.layout.display = ""
        self._desk.work.do("write", work, lambda _: self._wrote(), self._failed, self._show)

    def _show(self, pair: tuple[Generation | None, Generation | None]) -> None:
        titles = ("under the plan", "the full model")
        masked = self._desk.answer.model.kind == "masked"
        columns = "".join(
            f'<div><div class="lens-written-title">{title}</div><p dir="auto">{_both(each, masked)}</p></div>'
            for title, each in zip(titles, pair, strict=True)
            if each is not None
        )
        self.written.value = f'<div class="lens-charts lens-written">{columns}</div>'

    def _wrote(self) -> None:
        self.stop.layout.display = "none"

    def _failed(self, problem: Problem) -> None:
        self._wrote()
        self.written.value = f'<span class="lens-state">{escape(problem.text)}</span>'

    def _stopped(self) -> None:
        self._desk.work.stop("write")
        self._wrote()


def _both(found: Generation, masked: bool) -> str:
    """The prompt, faint, and what was written; a masked model's text is whole."""
    if masked:
        return escape(found.text)
    return f'<span class="lens-state">{escape(found.prompt)}</span>{escape(found.text)}'
