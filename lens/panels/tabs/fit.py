"""Fit maps here: choose text, see how far it is, stop, keep, save."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as widgets

from lens._limits import higher, limit
from lens.analyses import Progress, fit, fit_budget, heldout_sentences, sample_sentences
from lens.casts import Maps, casts
from lens.errors import LensError
from lens.execution import keep_maps
from lens.models import Model
from lens.panels._desk import Desk
from lens.panels._panel import Panel
from lens.panels._python import call, opening, program
from lens.panels._style import PLAIN
from lens.panels._undo import Undoing, watch
from lens.panels._work import Problem

__all__ = ["PANEL", "FitPanel"]

SAMPLE, OWN = "the sample text of lens", "my own text"
MEGABYTE = 10**6


class FitPanel(Undoing, widgets.VBox):
    """A form for `lens.fit` on the model at hand; what is fitted is used at once, and saved when asked."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._before: tuple[Model, Maps | None] | None = None
        self._asked: tuple[str, str, bool] | None = None
        self.text = widgets.Dropdown(options=[SAMPLE, OWN], value=SAMPLE, description="Text", style=PLAIN)
        self.own = widgets.Textarea(placeholder="One sentence a line; two hundred or more make useful maps", rows=6)
        kinds = [name for name, cast in casts().items() if cast.solve]
        self.kind = widgets.Dropdown(
            options=sorted(kinds, key=lambda kind: kind != "mat"), value="mat", description="Kind", style=PLAIN
        )
        self.ridge = widgets.FloatText(100.0, description="Ridge", style=PLAIN)
        self.rank = widgets.IntText(16, description="Rank", style=PLAIN)
        pairs = [("all pairs", "all"), ("to the last layer", "final")]
        self.pairs = widgets.Dropdown(options=pairs, description="Pairs", style=PLAIN)
        tokens = [("every token", "all"), ("one token a sentence", "one")]
        self.positions = widgets.Dropdown(options=tokens, description="Tokens", style=PLAIN)
        self.parts = widgets.Checkbox(True, description="Linear parts of blocks too", indent=False)
        self.start = widgets.Button(description="Fit", button_style="primary")
        self.stop = widgets.Button(description="Stop")
        self.save = widgets.Button(description="Save for next time")
        self.back = widgets.Button(description="Back to the maps before")
        self.bar = widgets.FloatProgress(0, min=0, max=1)
        self.state = widgets.HTML()
        rows = [[self.text, self.kind, self.ridge, self.rank], [self.pairs, self.positions, self.parts]]
        lines = [widgets.HBox(row) for row in rows]
        buttons = widgets.HBox([self.start, self.stop, self.save, self.back, self.bar])
        for line in (*lines, buttons):
            line.add_class("lens-controls")
        super().__init__([lines[0], self.own, lines[1], buttons, self.state])
        self.undo = [watch(widget, ["value"], self._form) for widget in (self.text, self.kind, self.pairs, self.parts)]
        self.undo.append(watch(desk, ["answer"], self._form))
        self._buttons = {self.start: self._fit, self.stop: self._stop, self.save: self._save, self.back: self._undo}
        for button, act in self._buttons.items():
            button.on_click(lambda _, act=act: act())
        self._running(False)
        self._form()

    def look(self, visible: bool) -> None:
        """Nothing here is computed before it is asked for."""

    def python(self) -> str:
        """Fit the same maps; of text of one's own, only the place where it goes."""
        options: dict[str, Any] = self._options()
        if self.parts.value and self._desk.answer is not None:
            options["parts"] = list(self._desk.answer.model.parts)
        own = self.text.value == OWN
        texts = 'sentences = open("sentences.txt").read().splitlines()  # one a line'
        imports = [] if own else ["from lens.analyses import heldout_sentences, sample_sentences"]
        return program(
            *(line for line in opening(self._desk, *imports) if not line.startswith("maps =")),
            texts if own else "sentences, heldout = sample_sentences(), heldout_sentences()",
            call("maps = lens.fit", "model", "sentences", holdout=0.1 if own else "=heldout", **options),
            "frame = maps.card.r2().frame()",
        )

    def _form(self) -> None:
        """Show what the choices need, and what they will take."""
        self.own.layout.display = "" if self.text.value == OWN else "none"
        self.ridge.layout.display = "" if self.kind.value == "ridge" else "none"
        self.rank.layout.display = "" if self.kind.value == "lowrank" else "none"
        answer = self._desk.answer
        self.start.disabled = answer is None
        asked = answer and (answer.model.name, self.pairs.value, self.parts.value)
        if answer is None or asked == self._asked or self.stop.layout.display == "":
            return
        self._asked = asked  # said once: what a fit or a save has to say stays
        try:
            parts = answer.model.parts if self.parts.value else []
            cost = fit_budget(answer.model, pairs=self.pairs.value, parts=parts)
            passes = "one pass" if len(cost.passes) == 1 else f"{len(cost.passes)} passes"
            self._say(f"For {answer.name}: {cost.memory / MEGABYTE:,.0f} MB, {passes} over the text.")
        except LensError as error:
            self._say(str(error))

    def _fit(self) -> None:
        model, options = self._desk.answer.model, self._options()
        texts = sample_sentences() if self.text.value == SAMPLE else self.own.value.splitlines()
        own, most = len(self.own.value), limit("own_text")
        if self.text.value != SAMPLE and own > most:
            self._say(f"The text has {own:,} characters; at most {most:,} are read. {higher('own_text')}")
            return
        holdout: Any = heldout_sentences() if self.text.value == SAMPLE else 0.1
        heldout = "two other novels" if self.text.value == SAMPLE else None
        if self.parts.value:
            options["parts"] = model.parts
        self._running(True)

        def work(report: Any) -> Maps:
            return fit(
                model,
                texts,
                holdout=holdout,
                corpus=self.text.value,
                heldout_corpus=heldout,
                progress=report,
                **options,
            )

        def done(maps: Maps) -> None:
            self._before = model, self._desk.maps
            self._running(False)
            self._say(_summary(maps))
            self._desk.use_maps(model, maps)

        def failed(problem: Problem) -> None:
            self._running(False)
            self._say(problem.text)

        self._desk.work.do("fit panel", work, done, failed, self._progress)

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "kind": self.kind.value,
            "pairs": self.pairs.value,
            "positions": self.positions.value,
        }
        if self.kind.value == "ridge":
            options["ridge"] = self.ridge.value
        if self.kind.value == "lowrank":
            options["rank"] = self.rank.value
        return options

    def _progress(self, step: Progress) -> None:
        self.bar.value = step.sentences / step.total if step.total else 0
        left = "" if step.remaining is None else f", about {step.remaining:,.0f} s left"
        doing = "Fitting" if step.stage == "fit" else "Scoring on held-out text"
        self._say(f"{doing}: {step.sentences:,} of {step.total:,} sentences, {step.tokens:,} vectors{left}")

    def _stop(self) -> None:
        self._desk.work.stop("fit panel")
        self._running(False)
        self._say("Stopped; nothing was changed.")

    def _save(self) -> None:
        model, maps = self._desk.answer.model, self._desk.maps
        if maps is None:
            return
        try:
            where = keep_maps(model, maps)
        except LensError as error:
            self._say(str(error))
        else:
            self._say(
                f"Saved in {where}; lens will find them there for this model."
                if where
                else "They stay on the shared engine, for this session; only who runs it can keep them."
            )

    def _undo(self) -> None:
        if self._before is not None:
            (model, maps), self._before = self._before, None
            self._desk.use_maps(model, maps)
            self._running(False)
            self._say("The maps from before are in use again.")

    def _running(self, running: bool) -> None:
        for widget, shown in (
            (self.start, not running),
            (self.stop, running),
            (self.bar, running),
            (self.save, not running and self._before is not None),
            (self.back, not running and self._before is not None),
        ):
            widget.layout.display = "" if shown else "none"
        self.bar.value = 0

    def _say(self, text: str) -> None:
        self.state.value = f'<p class="lens-state">{escape(text)}</p>'


def _summary(maps: Maps) -> str:
    card, last = maps.card, maps.card.n_blocks
    cast = next(name for name in card.scores if name not in ("id",) and not name.startswith("~"))
    found = [
        card.scores[cast][key]["stream"] for key in (f"{s}>{last}" for s in range(last)) if key in card.scores[cast]
    ]
    values = [value for value, _ in found if value is not None]
    mean = f"mean r² to the last layer {sum(values) / len(values):.3f}" if values else "no r²"
    return f"In use now: {cast} on {card.tokens:,} vectors of {card.sentences:,} sentences, {mean} on held-out text."


PANEL = Panel("fit", "Fit", 9, "Fit linear maps between the layers of this model here, and use them at once.", FitPanel)
