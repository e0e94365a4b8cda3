"""A fit for who has no maps yet: on the text that comes with lens, at one click."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import traitlets
from traitlets import HasTraits

from lens.analyses import Progress, fit, fit_budget, heldout_sentences, sample_sentences
from lens.casts import Maps
from lens.errors import LensError
from lens.execution import keep_maps
from lens.models import Model
from lens.panels._desk import Desk
from lens.panels._work import Problem, Report

__all__ = ["Fitter", "Fitting"]

CHANNEL: Final = "fit"


@dataclass(frozen=True)
class Fitting:
    """A fit under way, or why one failed."""

    model: str
    text: str
    running: bool = True


class Fitter(HasTraits):
    """Fits maps for the model of a desk, keeps them, and has the desk read with them."""

    state = traitlets.Any(None, allow_none=True)  # Fitting

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def start(self) -> None:
        """Fit maps for the current model, unless a fit is under way."""
        answer = self._desk.answer
        if answer is None or (self.state and self.state.running):
            return
        model: Model = answer.model
        self.state = Fitting(model.name, "Fitting maps …")

        def progress(step: Progress) -> None:
            doing = "Fitting maps" if step.stage == "fit" else "Scoring maps"
            self.state = Fitting(model.name, f"{doing}: {step.sentences:,} of {step.total:,} sentences")

        def fitted(maps: Maps) -> None:
            self.state = None
            self._desk.use_maps(model, maps)

        def failed(problem: Problem) -> None:
            self.state = Fitting(model.name, problem.text, running=False)

        self._desk.work.do(CHANNEL, lambda report: _fit(model, report), fitted, failed, progress)

    def stop(self) -> None:
        """Stop the fit; nothing of it is kept."""
        self._desk.work.stop(CHANNEL)
        self.state = None


def _fit(model: Model, report: Report) -> Maps:
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
