"""A panel that measures over many sentences: it starts when first seen, says how far it is, and can be stopped."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets as widgets

from lens.analyses import Progress, heldout_sentences
from lens.casts import Maps
from lens.models import Model
from lens.panels._desk import Desk
from lens.panels._python import call, heldout, opening, program
from lens.panels._style import PLAIN
from lens.panels._undo import Undoing, watch
from lens.panels._work import Problem, Report

__all__ = ["SENTENCES", "Measured"]

SENTENCES = (100, 200, 500)  # held-out sentences to measure on
Work = Callable[[Model, Maps | None, list[str], Any], Any]  # (model, maps, texts, progress) -> result


class Measured(Undoing, widgets.VBox):
    """Controls and pictures around one measurement; `visible` says whether anybody looks.

    Results are kept by model, maps and number of sentences, within the bytes of the shelf's cache, so that coming back
    is instant.
    """

    def __init__(
        self,
        desk: Desk,
        name: str,
        work: Work,
        pictures: list[widgets.Widget],
        counts: Sequence[int] = SENTENCES,
    ) -> None:
        self.desk = desk
        self.result: Any = None
        self.visible = False
        self._name = name
        self._work = work
        self._default = counts[1]
        self._wanted: Any = None
        self._running = False
        self.count = widgets.Dropdown(
            options=[(f"{n} sentences" if n else "this text", n) for n in counts],
            value=counts[1],
            description="On",
            style=PLAIN,
        )
        self.state = widgets.HTML()
        self.stop = widgets.Button(description="Stop")
        self.again = widgets.Button(description="Measure")
        self.controls = widgets.HBox([self.count, self.again, self.stop, self.state])
        self.controls.add_class("lens-controls")
        super().__init__([self.controls, *pictures])
        self.stop.on_click(lambda _: self._end("Stopped."))
        self.again.on_click(lambda _: self._ask())
        self.undo = [
            watch(desk, ["answer"], self.refresh),
            watch(self.count, ["value"], self._counted),
            watch(desk.session, ["sentences"], self._count),
        ]
        self._show("", running=False)
        self._count()

    def look(self, visible: bool) -> None:
        """Somebody looks at this panel now, or no longer."""
        self.visible = visible
        if self._running and not visible:
            self._end("")
            self._wanted = None  # whoever comes back sees it measured from the start
        self.refresh()

    def refresh(self) -> None:
        """Draw what is known of the model at hand, or begin to measure it if anybody looks."""
        answer = self.desk.answer
        if answer is None or not self.visible:
            return
        if self._key() == self._wanted and self.result is not None:
            self.draw()
        elif (kept := self.desk.shelf.cache.peek(self._key())) is not None:
            self._wanted, self.result = self._key(), kept
            self.desk.work.stop(self._name)  # what another choice had begun
            self._show("", running=False)
            self.dim(False)
            self.draw()
        elif self._key() != self._wanted:
            self._ask()

    def draw(self) -> None:
        """Draw `self.result`; each panel its own way."""

    def dim(self, busy: bool) -> None:
        """Show that what is drawn is being replaced."""

    def _key(self) -> Any:
        text = "" if self.count.value else self.desk.answer.question.text
        return self._name, self.desk.answer.model.name, id(self.desk.maps), self.count.value, text

    def program(self, function: str, *more: str, **options: Any) -> str:
        """Code that measures the same; its result is called `found`, and `more` lines may ask it more."""
        own, answer = self.desk.own_maps, self.desk.answer
        texts = heldout(self.count.value) if self.count.value else f"sentences = [{answer.question.text!r}]"
        return program(
            *opening(self.desk, *(["from lens.analyses import heldout_sentences"] if self.count.value else [])),
            texts,
            call(f"found = {function}", "model", "sentences", **{"maps": "=maps" if own else None, **options}),
            *more,
            "frame = found.frame()",
        )

    def _counted(self) -> None:
        """A number was chosen here: it is the session's from now on."""
        mine = self.count.value
        self.desk.session.sentences = None if mine == self._default else mine
        self.refresh()

    def _count(self) -> None:
        """The session's number, if this panel offers it."""
        wanted = self.desk.session.sentences
        offered = [value for _, value in self.count.options]
        self.count.value = wanted if wanted in offered else self._default

    def _ask(self) -> None:
        answer = self.desk.answer
        model, maps, key = answer.model, self.desk.maps, self._key()
        texts = heldout_sentences()[: self.count.value] or [answer.question.text]
        self._wanted = key
        self.dim(True)
        self._show("Measuring …", running=True)

        def done(result: Any) -> None:
            self.result = self.desk.shelf.cache.get(key, lambda: (result, len(pickle.dumps(result))))
            self._show("", running=False)
            self.dim(False)
            self.draw()

        def failed(problem: Problem) -> None:
            self._show(problem.text, running=False)

        def work(report: Report) -> Any:
            return self._work(model, maps, texts, report)

        self.desk.work.do(self._name, work, done, failed, self._progress)

    def _progress(self, step: Any) -> None:
        """How far it is, or what is known so far."""
        if not isinstance(step, Progress):
            self.result = step
            self.draw()
            return
        left = "" if step.remaining is None else f", about {step.remaining:.0f} s left"
        self._show(f"{step.stage}: {step.sentences:,} of {step.total:,} sentences{left}", running=True)

    def _end(self, text: str) -> None:
        self.desk.work.stop(self._name)
        self.dim(False)
        self._show(text, running=False)

    def _show(self, text: str, *, running: bool) -> None:
        self._running = running
        self.state.value = f'<span class="lens-state">{escape(text)}</span>'
        self.stop.layout.display = "" if running else "none"
        self.again.layout.display = "none" if running or not text else ""
