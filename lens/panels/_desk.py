"""Where a session's questions are asked and their latest answers lie."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import traitlets
from traitlets import HasTraits

from lens._memory import ran_out, said_of
from lens.analyses import Progress, fit, fit_budget, heldout_sentences, sample_sentences
from lens.casts import Maps, casts
from lens.engine import Engine, LocalEngine
from lens.errors import EngineError, LensError, MapsError, TextError
from lens.execution import keep_maps, maps_for
from lens.models import Model
from lens.panels._beyond import beyond
from lens.panels._masking import MASK, Covered, mask_word, uncover
from lens.panels._session import EXAMPLES, Session
from lens.panels._shelf import Answer, Question, Shelf
from lens.panels._undo import watch
from lens.wire import waiting

__all__ = ["Desk", "Fitting", "Problem", "held"]

Report = Callable[[Any], None]

SOON = 1.0  # seconds that an answer takes where machine and model leave room to read ahead
AWAY = object()  # reported while a shared engine that went away is waited for


@dataclass(frozen=True)
class Problem:
    """What a person should be told, in the panel."""

    text: str
    kind: str = "error"  # or "info"
    blank: bool = False  # that there is no text, which ends once there is some
    passes: bool = False  # that the same question may be answered if it is asked again


@dataclass(frozen=True)
class Fitting:
    """A fit under way, or why one failed."""

    model: str
    text: str
    running: bool = True


class Desk(HasTraits):
    """Watches a session, answers it off the UI thread, and holds the latest answer for panels to draw."""

    answer = traitlets.Any(None, allow_none=True)  # Answer
    problem = traitlets.Any(None, allow_none=True)  # Problem
    fitting = traitlets.Any(None, allow_none=True)  # Fitting
    busy = traitlets.Bool(False)
    loading = traitlets.Unicode("")  # what is being waited for, if it takes seconds
    away = traitlets.Bool(False)  # whether a shared engine went away, and is asked again once it is back
    left_out = traitlets.Tuple()  # in words, what of a link its model can't do

    def __init__(
        self, session: Session, engine: Engine | None = None, shelf: Shelf | None = None, *, example: bool = False
    ) -> None:
        """`engine` does all the work, if it is given; `example` says that nobody has typed the session's text."""
        super().__init__()
        self.session = session
        self.shelf = shelf or Shelf()
        self._own = [] if engine else [LocalEngine(), LocalEngine(workers=2)]
        # reading goes on while a model is loaded or maps are fitted
        self._quick: Engine = engine or self._own[0]
        self._slow: Engine = engine or self._own[1]
        self._example = example
        self._asked = time.monotonic()
        self._aiming = False  # whether the target was ever moved
        self._covered: Covered | None = None
        self._wishes: dict[str, Any] = {}
        self._unwatch = [
            watch(session, ["target"], self._aim),
            watch(session, ["text"], self._text_changed),
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
        self._slow.cancel("ahead")
        if self.shelf.ready(question.model):
            self.loading = ""
            self._slow.cancel("load")
            self._do(self._quick, "read", lambda _: self.shelf.answer(question), self._answered, self._failed)
        else:
            self.loading = f"Loading {question.model[:200]} …"
            self._quick.cancel("read")
            self._do(self._slow, "load", lambda _: self.shelf.load(question.model), self._loaded, self._failed)

    def settle(self) -> None:
        """Answer the session as it stands, here and now, if that is under way. Raises LensError in words."""
        while self.busy:  # twice, where the text is an example that suits another kind of model
            self._quick.cancel("read")
            self._slow.cancel("load")
            question = self._question()
            try:
                if not self.shelf.ready(question.model):
                    self.shelf.load(question.model)
                answer = self.shelf.answer(question)
            except LensError as error:
                self._failed(error)
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
        if answer.model.kind == "causal":
            self.session.position = None if position == len(answer.tokens) - 1 else position
        elif position in answer.tokens.masks:
            self._pick_mask(answer, position)
        else:
            self._cover(answer, position)

    def fit(self) -> None:
        """Fit maps for the current model on the text that comes with lens, keep and use them."""
        answer: Answer | None = self.answer
        if answer is None or (self.fitting and self.fitting.running):
            return
        model = answer.model
        self.fitting = Fitting(model.name, "Fitting maps …")

        def progress(step: Progress) -> None:
            doing = "Fitting maps" if step.stage == "fit" else "Scoring maps"
            self.fitting = Fitting(model.name, f"{doing}: {step.sentences:,} of {step.total:,} sentences")

        def fitted(maps: Maps) -> None:
            self.fitting = None
            self.use_maps(model, maps)

        def failed(error: Exception) -> None:
            self.fitting = Fitting(model.name, _in_words(error).text, running=False)

        self._do(self._slow, "fit", lambda report: _fit(model, report), fitted, failed, progress)

    def stop_fit(self) -> None:
        """Stop the fit; nothing of it is kept."""
        self._slow.cancel("fit")
        self.fitting = None

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

    def work(
        self,
        channel: str,
        work: Callable[[Report], Any],
        then: Callable[[Any], None],
        failed: Callable[[str], None],
        progress: Callable[[Any], None],
    ) -> None:
        """Do long work beside the reading; `failed` is told in words, and only the latest of a channel is heard."""
        self._do(self._slow, channel, work, then, lambda error: failed(_in_words(error).text), progress)

    def stop(self, channel: str) -> None:
        """Nobody waits for that work any more."""
        self._slow.cancel(channel)
        self.away = False

    def use_maps(self, model: Model, maps: Maps | None) -> None:
        """Read with other maps from now on."""
        self.shelf.keep_maps(model, maps)
        self.ask()

    def close(self) -> None:
        """Leave no observer and no work behind."""
        while self._unwatch:
            self._unwatch.pop()()
        for engine in self._own:
            engine.close()

    def _do(
        self,
        engine: Engine,
        channel: str,
        work: Callable[[Report], Any],
        then: Callable[[Any], None],
        failed: Callable[[Exception], None],
        progress: Callable[[Any], None] = lambda _: None,
    ) -> None:
        """Have work done; `away` says while it waits for a shared engine."""

        def aware(report: Report) -> Any:
            with waiting(lambda: report(AWAY)):
                return work(report)

        def here(hear: Callable[[Any], None]) -> Callable[[Any], None]:
            def heard(value: Any) -> None:
                self.away = value is AWAY
                if not self.away:
                    hear(value)

            return heard

        engine.submit(channel, aware, here(then), here(failed), here(progress))

    def _aim(self) -> None:
        self._aiming = True

    def _look_ahead(self, answer: Answer) -> None:
        """Who has moved the target may move it on: the two beside it are read meanwhile, where that is soon done.

        What goes wrong is told when it is asked for.
        """
        if self._aiming and answer.reading is not None and time.monotonic() - self._asked < SOON:
            self._do(self._slow, "ahead", lambda report: self.shelf.ahead(answer, report), _unheard, _unheard)

    def _text_changed(self) -> None:
        self._example = False
        if self._covered and self._covered.text != self.session.text:
            self._covered = self._covered.edited(self.session.text)

    def _loaded(self, _: Any) -> None:
        self.ask()

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

    def _failed(self, error: Exception) -> None:
        self.busy, self.loading = False, ""
        words = _in_words(error)
        self.problem = replace(
            words,
            blank=isinstance(error, TextError) and not self.session.text.strip(),
            passes=isinstance(error, (EngineError, MapsError)),
        )

    def _pick_mask(self, answer: Answer, position: int) -> None:
        covered = self._covered
        if covered and position == _mask_at(answer, covered):
            self._covered = None
            self.session.text = uncover(covered)
        else:
            self.session.position = position

    def _cover(self, answer: Answer, position: int) -> None:
        """Move the mask: the word that it covered comes back first."""
        tokens, before = answer.tokens, self._covered
        covered = mask_word(tokens, position, answer.model.mask_token or MASK)
        if covered is None:
            return
        first = tokens.words.index(tokens.words[position])
        self._covered = _moved(before, covered) if before else covered
        with self.session.hold_trait_notifications():
            self.session.text = self._covered.text
            self.session.position = first


def _unheard(_: Any) -> None:
    """What nobody waits for."""


def _mask_at(answer: Answer, covered: Covered) -> int:
    """The position of the mask that covers a word: it is as far along among the masks as in the text."""
    return answer.tokens.masks[min(covered.text[: covered.start].count(MASK), len(answer.tokens.masks) - 1)]


def _moved(before: Covered, after: Covered) -> Covered:
    """`after` covers a second word; uncover the first, and say where the mask now begins."""
    first = before.edited(after.text)
    if first is None:
        return after
    shift = len(before.word) - len(MASK) if first.start < after.start else 0
    return Covered(uncover(first), after.start + shift, after.word)


def _advice(answer: Answer) -> Problem | None:
    if answer.reading is not None:
        return None
    if MASK in answer.question.text:
        count, total = len(answer.tokens), answer.tokens.total
        return Problem(
            f"The mask stands beyond the {count:,} of {total:,} tokens that are read. Shorten the text.", "info"
        )
    return Problem(f"{answer.name} fills in masks: click a word to mask it, or type {MASK}.", "info")


def _in_words(error: Exception) -> Problem:
    if isinstance(error, LensError):
        return Problem(str(error), "info" if isinstance(error, TextError) else "error")
    if ran_out(error):
        return Problem(said_of(error))
    logging.getLogger("lens").error("Work for a panel failed", exc_info=error)
    return Problem(
        f"Something went wrong inside lens ({type(error).__name__}). "
        "Your text is kept; change it, or the model, to go on."
    )


def _fit(model: Model, report: Any) -> Maps:
    maps = fit(
        model,
        sample_sentences(),
        pairs=_affordable(model),
        positions="all" if model.kind == "causal" else "one",
        parts=model.parts,
        holdout=heldout_sentences(),
        corpus="the sample text of lens",
        heldout_corpus="two other novels",
        progress=report,
    )
    keep_maps(model, maps)
    return maps


def _affordable(model: Model) -> Literal["all", "final"]:
    """All pairs of layers, or only those to the last, where all would take too much memory."""
    try:
        return "all" if len(fit_budget(model).passes) == 1 else "final"
    except LensError:
        return "final"


def held(model: Model, maps: Maps | None) -> list[str]:
    """The casts that can go from every layer to the last, `id` first."""
    layers, last = tuple(range(model.n_blocks)), model.n_blocks
    fitted = [name for name, cast in casts().items() if cast.fitted and maps and maps.covers(name, layers, last)]
    return ["id", *fitted]
