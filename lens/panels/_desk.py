"""Where a session's questions are asked and their latest answers lie."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Literal

import traitlets
from traitlets import HasTraits

from lens.analyses import FitProgress, fit, sample_sentences
from lens.casts import store_folder
from lens.engine import Engine, LocalEngine, Superseded
from lens.errors import LensError, TextError
from lens.models import Model
from lens.panels._masking import Covered, mask_word, uncover
from lens.panels._session import EXAMPLES, Session
from lens.panels._shelf import Answer, Question, Shelf
from lens.panels._undo import watch

__all__ = ["Desk", "Problem"]


@dataclass(frozen=True)
class Problem:
    """What a person should be told, in the panel."""

    text: str
    kind: str = "error"  # or "info"


class Desk(HasTraits):
    """Watches a session, answers it off the UI thread, and holds the latest answer for panels to draw."""

    answer = traitlets.Any(None, allow_none=True)  # Answer
    problem = traitlets.Any(None, allow_none=True)  # Problem
    busy = traitlets.Bool(False)
    fitting = traitlets.Unicode("")  # how far a fit has come; empty when none runs

    def __init__(self, session: Session, engine: Engine | None = None, slow: Engine | None = None) -> None:
        super().__init__()
        self.session = session
        self.shelf = Shelf()
        self._engine = engine or LocalEngine()
        self._slow = slow or engine or LocalEngine()  # so that reading goes on while a fit runs
        self._covered: Covered | None = None
        self._unwatch = watch(session, ["model", "text", "target", "position"], self.ask)

    @property
    def stale(self) -> bool:
        """Whether what is drawn does not answer the question that stands."""
        return self.busy or self.problem is not None

    def ask(self) -> None:
        """Answer the session as it stands now."""
        session = self.session
        question = Question(session.model.strip(), session.text, session.target, session.position)
        self.busy = True
        if not self.shelf.ready(question.model):
            self.problem = Problem(f"Loading {question.model[:200]} …", "info")
        self._engine.submit("read", lambda _: self.shelf.answer(question), self._answered, self._failed)

    def pick(self, position: int) -> None:
        """A token was clicked: look at it, or, for a masked model, cover its word."""
        answer: Answer | None = self.answer
        if answer is None or not 0 <= position < len(answer.tokens.ids):
            return
        if answer.model.kind == "causal":
            self.session.position = None if position == len(answer.tokens.ids) - 1 else position
        elif position in answer.tokens.masks:
            self._pick_mask(answer, position)
        else:
            self._cover(answer, position)

    def fit(self) -> None:
        """Fit maps for the current model on the text that comes with lens, keep and use them."""
        answer: Answer | None = self.answer
        if answer is None or self.fitting:
            return
        model = answer.model
        self.fitting = "Fitting maps …"
        self._slow.submit("fit", lambda report: _fit(model, report), self._fitted, self._fit_failed, self._fit_progress)

    def stop_fit(self) -> None:
        """Stop the fit; nothing of it is kept."""
        self._slow.cancel("fit")
        self.fitting = ""

    def close(self) -> None:
        """Leave no observer and no work behind."""
        self._unwatch()
        self._engine.close()
        self._slow.close()

    def _answered(self, answer: Answer) -> None:
        other = {"causal": "masked", "masked": "causal"}[answer.model.kind]
        if self.session.text == EXAMPLES[other]:  # nobody has typed yet: show the example that suits the model
            self.session.set_trait("position", None)
            self.session.text = EXAMPLES[answer.model.kind]
            return
        self.busy = False
        self.problem = self._advice(answer)
        self.answer = answer

    def _advice(self, answer: Answer) -> Problem | None:
        if answer.reading is None:
            mask = answer.model.mask_token
            return Problem(f"{answer.name} fills in masks: click a word to mask it, or type {mask}.", "info")
        return None

    def _failed(self, error: Exception) -> None:
        self.busy = False
        if isinstance(error, LensError):
            self.problem = Problem(str(error), "info" if isinstance(error, TextError) else "error")
            return
        logging.getLogger("lens").error("A reading failed", exc_info=error)
        self.problem = Problem(
            f"Something went wrong inside lens ({type(error).__name__}). "
            "Your text is kept; change it, or the model, to go on."
        )

    def _pick_mask(self, answer: Answer, position: int) -> None:
        covered, mask = self._covered, answer.model.mask_token or ""
        if position == answer.position and covered and covered.text == self.session.text:
            self._covered = None
            self.session.text = uncover(covered, mask)
        else:
            self.session.position = position

    def _cover(self, answer: Answer, position: int) -> None:
        """Move the mask: the word that it covered comes back first."""
        mask, tokens = answer.model.mask_token or "", answer.tokens
        if answer.question.text != self.session.text:
            return  # the picture that was clicked shows an older text
        covered = mask_word(tokens, position, mask)
        if covered is None:
            return
        before = self._covered
        if before and before.text == tokens.text:
            covered = _moved(before, covered, mask)
        self._covered = covered
        with self.session.hold_trait_notifications():
            self.session.text = covered.text
            self.session.position = position

    def _fit_progress(self, progress: FitProgress) -> None:
        doing = "Fitting maps" if progress.stage == "fit" else "Scoring maps"
        self.fitting = f"{doing}: {progress.sentences:,} of {progress.total:,} sentences, {progress.tokens:,} tokens"

    def _fitted(self, fitted: tuple[Model, Any]) -> None:
        self.fitting = ""
        self.shelf.keep_maps(*fitted)
        self.ask()

    def _fit_failed(self, error: Exception) -> None:
        self.fitting = ""
        if not isinstance(error, Superseded):
            self._failed(error)


def _moved(before: Covered, after: Covered, mask: str) -> Covered:
    """`after` covers a second word; uncover the first, and say where the mask now begins."""
    grown = len(before.word) - len(mask)
    shrunk = len(mask) - len(after.word)
    first = before.start if before.start < after.start else before.start + shrunk
    text = after.text[:first] + before.word + after.text[first + len(mask) :]
    start = after.start + grown if before.start < after.start else after.start
    return Covered(text, start, after.word)


def _fit(model: Model, report: Any) -> tuple[Model, Any]:
    positions: Literal["one", "all"] = "all" if model.kind == "causal" else "one"
    maps = fit(model, sample_sentences(), positions=positions, corpus="the sample text of lens", progress=report)
    maps.save(store_folder(model.fingerprint))
    return model, maps
