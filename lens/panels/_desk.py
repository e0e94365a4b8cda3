"""Where a session's questions are asked and their latest answers lie."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import traitlets
from traitlets import HasTraits

from lens.casts import Maps
from lens.engine import Engine
from lens.errors import LensError
from lens.execution import maps_for
from lens.models import Model
from lens.panels._beyond import beyond
from lens.panels._masking import MASK
from lens.panels._picking import Picking
from lens.panels._session import EXAMPLES, Session
from lens.panels._shelf import Answer, Question, Shelf
from lens.panels._undo import watch
from lens.panels._work import READ, Problem, Work, in_words, unheard

__all__ = ["Desk"]

LOAD: Final = "load"
AHEAD: Final = "ahead"
SOON = 1.0  # seconds that an answer takes where machine and model leave room to read ahead


class Desk(HasTraits):
    """Watches a session, answers it off the UI thread, and holds the latest answer for panels to draw."""

    answer = traitlets.Any(None, allow_none=True)  # Answer
    problem = traitlets.Any(None, allow_none=True)  # Problem
    busy = traitlets.Bool(False)
    loading = traitlets.Unicode("")  # what is being waited for, if it takes seconds
    left_out = traitlets.Tuple()  # in words, what of a link its model can't do

    def __init__(
        self, session: Session, engine: Engine | None = None, shelf: Shelf | None = None, *, example: bool = False
    ) -> None:
        """`engine` does all the work, if it is given; `example` says that nobody has typed the session's text."""
        super().__init__()
        self.session = session
        self.shelf = shelf or Shelf()
        self.work = Work(engine)
        self._example = example
        self._asked = time.monotonic()
        self._aiming = False  # whether the target was ever moved
        self._picking = Picking(session)
        self._wishes: dict[str, Any] = {}
        self._unwatch = [
            self._picking.close,
            watch(session, ["target"], self._aim),
            watch(session, ["text"], self.typed),
            watch(session, ["model", "text", "target", "position"], self.ask),
        ]

    @property
    def stale(self) -> bool:
        """Whether what is drawn does not answer the question that stands."""
        return self.busy or self.problem is not None

    def ask(self) -> None:
        """Answer the session as it stands now; a model that is not in memory is loaded first."""
        question = self._question()
        self.busy = True
        if self.problem is not None and self.problem.blank and question.text.strip():
            self.problem = None
        self._asked = time.monotonic()
        self.work.stop(AHEAD)
        if self.shelf.ready(question.model):
            self.loading = ""
            self.work.stop(LOAD)
            self.work.do(READ, lambda _: self.shelf.answer(question), self._answered, self._failed)
        else:
            self.loading = f"Loading {question.model[:200]} …"
            self.work.stop(READ)
            self.work.do(LOAD, lambda _: self.shelf.load(question.model), lambda _: self.ask(), self._failed)

    def settle(self) -> None:
        """Answer the session as it stands, here and now, if that is under way. Raises LensError in words."""
        while self.busy:  # twice, where the text is an example that suits another kind of model
            self.work.stop(READ)
            self.work.stop(LOAD)
            question = self._question()
            try:
                if not self.shelf.ready(question.model):
                    self.shelf.load(question.model)
                answer = self.shelf.answer(question)
            except LensError as error:
                self._failed(in_words(error))
                raise
            self._answered(answer)

    def _question(self) -> Question:
        session = self.session
        return Question(session.model.strip(), session.text, session.target, session.position)

    def typed(self) -> None:
        """The text is a person's now, not an example that may be changed."""
        self._example = False

    def expect(self, wishes: Mapping[str, Any]) -> None:
        """Choices of a link: what of them its model can't do is left out, and said, once it has answered."""
        self._wishes, self.left_out = dict(wishes), ()

    def pick(self, position: int) -> None:
        """A token was clicked: look at it, or, for a masked model, cover its word."""
        answer: Answer | None = self.answer
        if answer is None or answer.question.text != self.session.text or not 0 <= position < len(answer.tokens):
            return  # the picture that was clicked shows another text
        self._picking.pick(answer, position)

    @property
    def maps(self) -> Maps | None:
        """The maps in use for the model of the latest answer."""
        answer: Answer | None = self.answer
        return self.shelf.maps.get(answer.model.name) if answer else None

    @property
    def own_maps(self) -> bool:
        """Whether those maps are others than `lens.load` would find again for the model."""
        maps = self.maps
        if maps is None:
            return False
        found = maps_for(self.answer.model)
        return found is None or found.card != maps.card

    def use_maps(self, model: Model, maps: Maps | None) -> None:
        """Read with other maps from now on."""
        self.shelf.keep_maps(model, maps)
        self.ask()

    def close(self) -> None:
        """Leave no observer and no work behind."""
        while self._unwatch:
            self._unwatch.pop()()
        self.work.close()

    def _aim(self) -> None:
        self._aiming = True

    def _look_ahead(self, answer: Answer) -> None:
        """Who has moved the target may move it on: the two beside it are read meanwhile, where that is soon done.

        What goes wrong is told when it is asked for.
        """
        if self._aiming and answer.reading is not None and time.monotonic() - self._asked < SOON:
            self.work.do(AHEAD, lambda report: self.shelf.ahead(answer, report), unheard, unheard)

    def _answered(self, answer: Answer) -> None:
        example = EXAMPLES[answer.model.kind]
        if self._example and self.session.text != example:  # nobody has typed yet: show what suits the model
            self.session.set_trait("position", None)
            self.session.text = example
            self._example = True
            return
        if self._leave_out(answer):
            return
        with self.hold_trait_notifications():
            self.busy, self.loading = False, ""
            self.problem = _advice(answer)
            self.answer = answer
        self._reconcile(answer)
        if not self.busy:
            self._look_ahead(answer)

    def _leave_out(self, answer: Answer) -> bool:
        """Put back what a link chose and the model can't do; whether that asks another question."""
        wishes = {name: wish for name, wish in self._wishes.items() if getattr(self.session, name) == wish}
        self._wishes, why = {}, beyond(wishes, answer)
        for name in why:
            self.session.set_trait(name, getattr(Session(), name))
        if why:
            self.left_out = tuple(why.values())
        return not why.keys().isdisjoint(("target", "position"))

    def _reconcile(self, answer: Answer) -> None:
        """Source ≤ target ≤ the model's last layer, also after a model of another depth was chosen."""
        session, n_blocks = self.session, answer.model.n_blocks
        if session.target is not None and session.target >= n_blocks:
            session.target = None
        session.source = min(session.source, n_blocks if session.target is None else session.target)

    def _failed(self, problem: Problem) -> None:
        self.busy, self.loading = False, ""
        self.problem = replace(problem, blank=problem.kind == "info" and not self.session.text.strip())


def _advice(answer: Answer) -> Problem | None:
    if answer.reading is not None:
        return None
    if MASK in answer.question.text:
        count, total = len(answer.tokens), answer.tokens.total
        return Problem(
            f"The mask stands beyond the {count:,} of {total:,} tokens that are read. Shorten the text.", "info"
        )
    return Problem(f"{answer.name} fills in masks: click a word to mask it, or type {MASK}.", "info")
