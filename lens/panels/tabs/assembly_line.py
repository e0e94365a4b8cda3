"""The assembly line: arrange the blocks of a model, and see beside the full model what that does."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from itertools import zip_longest
from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.errors import LensError, PlanError
from lens.execution import generation
from lens.numerics import NO_TOKEN, Compared, Generation
from lens.panels._desk import Desk
from lens.panels._doubt import NOT_FINITE, number
from lens.panels._panel import Panel
from lens.panels._python import call, opening, program
from lens.panels._recipe_form import RecipeForm
from lens.panels._shelf import Answer
from lens.panels._style import PLAIN
from lens.panels._undo import Undoing, watch
from lens.panels.live import Chart, Shifts, Strip, TopK, plan_of
from lens.plans import Plan

__all__ = ["PANEL", "AssemblyLine", "columns", "parting", "shifts"]

HISTORY = 200  # plans that can be gone back to


class AssemblyLine(Undoing, widgets.VBox):
    """A strip of tiles, its text, presets; under it predictions, losses, streams and written text of both."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.visible = False
        self._compared: Compared | None = None
        self._history: list[str] = [""]
        self._at = 0
        self.strip = Strip()
        self.presets = RecipeForm(self._use, self._refuse)
        self.topk = TopK()
        self.shifts, self.streams = Shifts(), Chart()
        self.write = widgets.Button(description="Write on with both")
        self.stop = widgets.Button(description="Stop")
        self.count = widgets.IntSlider(32, min=1, max=200, description="Tokens", style=PLAIN)
        self.temperature = widgets.FloatSlider(0.0, min=0, max=2, step=0.1, description="Temperature", style=PLAIN)
        self.written = widgets.HTML()
        writing = widgets.HBox([self.write, self.stop, self.count, self.temperature])
        writing.add_class("lens-controls")
        pictures = widgets.HBox([self.shifts, self.streams])
        pictures.add_class("lens-charts")
        super().__init__([self.presets, self.strip, self.topk, pictures, writing, self.written])
        self.stop.layout.display = "none"
        self.write.on_click(lambda _: self._write())
        self.stop.on_click(lambda _: self._stopped())
        self.undo = [
            watch(desk, ["answer"], self._answered),
            watch(desk.session, ["plan"], self._planned),
            watch(desk.session, ["k"], self._draw),
            self.strip.on_message("items", lambda message: self._edit(lambda: plan_of(message.get("items")))),
            self.strip.on_message("text", lambda message: self._typed(str(message.get("text", "")))),
            self.strip.on_message("undo", lambda _: self._travel(-1)),
            self.strip.on_message("redo", lambda _: self._travel(1)),
            self.presets.close,
        ]

    def look(self, visible: bool) -> None:
        """Somebody looks at this panel now, or no longer."""
        self.visible = visible
        self._answered()

    def python(self) -> str:
        """Run the plan on the sentence, beside the full model."""
        answer: Answer = self.desk.answer
        maps = "=maps" if self.desk.own_maps else None
        return program(
            *opening(self.desk),
            call(
                "found = lens.compare_plan",
                "model",
                repr(answer.question.text),
                repr(str(self._plan())),
                k=self.desk.session.k,
                maps=maps,
            ),
            "frame = found.frame()",
        )

    @property
    def _n_blocks(self) -> int:
        answer: Answer | None = self.desk.answer
        return answer.model.n_blocks if answer else 0

    # -------------------------------------------------------------- the plan

    def _plan(self) -> Plan:
        """The session's plan, or the full model where it is empty. PlanError where it does not fit."""
        text = self.desk.session.plan.strip()
        return Plan.parse(text, self._n_blocks) if text else Plan.full(self._n_blocks)

    def _use(self, plan: Plan) -> None:
        self._set("" if plan.flat == Plan.full(self._n_blocks).flat else str(plan))

    def _edit(self, make: Callable[[], Plan]) -> None:
        """A plan that a hand made on the strip; where it is none, the strip goes back to what was."""
        self.presets.reset()
        try:
            plan = make().check(self._n_blocks)
        except LensError as error:
            self._show_plan()
            self._refuse(error)
        else:
            self._use(plan)
            self._show_plan()

    def _typed(self, text: str) -> None:
        self.presets.reset()
        try:
            plan = Plan.parse(text, self._n_blocks) if text.strip() else Plan.full(self._n_blocks)
        except PlanError as error:
            self._refuse(error)
        else:
            self._use(plan)
            self._show_plan()

    def _refuse(self, error: LensError) -> None:
        place = {"text": error.text, "start": error.start, "end": error.end} if isinstance(error, PlanError) else {}
        self.strip.error = {"message": str(error), **place}

    def _set(self, text: str) -> None:
        if text == self.desk.session.plan:
            self.strip.error = {}
            return
        del self._history[self._at + 1 :]
        self._history = [*self._history, text][-HISTORY:]
        self._at = len(self._history) - 1
        self.desk.session.plan = text

    def _travel(self, by: int) -> None:
        if 0 <= self._at + by < len(self._history):
            self._at += by
            self.presets.reset()
            self.desk.session.plan = self._history[self._at]

    def _planned(self) -> None:
        if self._history[self._at] != self.desk.session.plan:  # set from outside: a link, another panel
            self._history, self._at = [*self._history[: self._at + 1], self.desk.session.plan], self._at + 1
        self._show_plan()
        self._ask()

    def _show_plan(self) -> None:
        if not self._n_blocks:
            return
        travel = {"can_undo": self._at > 0, "can_redo": self._at + 1 < len(self._history)}
        try:
            plan = self._plan()
            self.strip.answer(plan, self._n_blocks, facts(plan), error={}, **travel)
        except LensError as error:  # a plan for a deeper model, say: its text stays, the tiles are the full model's
            full = Plan.full(self._n_blocks)
            self.strip.answer(full, self._n_blocks, facts(full), **travel)
            self.strip.text = self.desk.session.plan
            self._refuse(error)

    # -------------------------------------------------------------- its outcome

    def _answered(self) -> None:
        if self.desk.answer is None or not self.visible:
            return
        self.presets.fit(self._n_blocks)
        self._show_plan()
        self._ask()

    def _ask(self) -> None:
        answer: Answer | None = self.desk.answer
        if answer is None or not self.visible:
            return
        try:
            plan = self._plan()
        except LensError:
            return  # the strip says why; what is drawn stays
        self._busy(True)

        def done(found: Compared) -> None:
            self._compared = found
            self._busy(False)
            self._draw()

        def failed(words: str) -> None:
            self._busy(False)
            self.strip.error = {"message": words}

        shelf, question = self.desk.shelf, answer.question
        self.desk.work("plan", lambda _: shelf.compared(question, plan), done, failed, lambda _: None)

    def _busy(self, busy: bool) -> None:
        for picture in (self.topk, self.shifts, self.streams):
            picture.busy = busy

    def _draw(self) -> None:
        found, answer = self._compared, self.desk.answer
        if found is None or answer is None or len(found.tokens) != len(answer.tokens):
            return
        k = self.desk.session.k
        self.topk.show(columns=columns(found, answer.position, k), k=k)
        self.shifts.spec = shifts(found)
        self.streams.spec = parting(found)

    # -------------------------------------------------------------- writing on

    def _write(self) -> None:
        answer: Answer | None = self.desk.answer
        if answer is None:
            return
        try:
            plan = self._plan()
        except LensError:
            return
        model, text, maps = answer.model, answer.question.text, self.desk.maps
        options: dict[str, Any] = {"max_new_tokens": self.count.value, "temperature": self.temperature.value}

        def work(report: Any) -> None:
            ways = (generation(model, text, each, maps=maps, **options) for each in (plan, None))
            last: list[Generation | None] = [None, None]
            for pair in zip_longest(*ways):
                last = [new or old for new, old in zip(pair, last, strict=True)]
                report(tuple(last))

        self.stop.layout.display = ""
        self.desk.work("write", work, lambda _: self._wrote(), self._write_failed, self._show_written)

    def _show_written(self, pair: tuple[Generation | None, Generation | None]) -> None:
        titles = ("under the plan", "the full model")
        masked = self.desk.answer.model.kind == "masked"
        columns = "".join(
            f'<div><div class="lens-written-title">{title}</div><p dir="auto">{_both(each, masked)}</p></div>'
            for title, each in zip(titles, pair, strict=True)
            if each is not None
        )
        self.written.value = f'<div class="lens-charts lens-written">{columns}</div>'

    def _wrote(self) -> None:
        self.stop.layout.display = "none"

    def _write_failed(self, words: str) -> None:
        self._wrote()
        self.written.value = f'<span class="lens-state">{escape(words)}</span>'

    def _stopped(self) -> None:
        self.desk.stop("write")
        self._wrote()


def facts(plan: Plan) -> str:
    """What a plan costs, in words."""
    jumps = plan.steps - plan.applications
    more = f" and {jumps} jump{'s' if jumps > 1 else ''}" if jumps else ""
    return f"{plan.applications} blocks run{more}, {plan.depth} one after the other."


def columns(found: Compared, position: int, k: int) -> list[dict[str, Any]]:
    """The predictions under the plan and of the full model at one position."""
    ways = (
        ("plan", "plan", found.plan, found.token_ids, found.probabilities),
        ("model", "model", "as it is", found.full_token_ids, found.full_probabilities),
    )
    own = int(found.full_token_ids[position, 0])
    kl = {"name": "KL", "value": number(found.kl[position]), "title": "KL divergence of the plan from the model"}
    return [
        {
            "key": key,
            "title": title,
            "subtitle": subtitle if len(subtitle) < 60 else subtitle[:57] + "…",
            "rows": [
                {
                    "label": found.labels[token],
                    "probability": float(p),
                    "token_id": token,
                    "agrees": token == own,
                }
                for token, p in zip(ids[position, :k].tolist(), likely[position, :k].tolist(), strict=True)
                if token != NO_TOKEN
            ],
            "facts": [kl] if title == "plan" else [],
            "message": NOT_FINITE if ids[position, 0] == NO_TOKEN else None,
            "action": None,
        }
        for key, title, subtitle, ids, likely in ways
    ]


def shifts(found: Compared) -> dict[str, Any]:
    """Each token with what is predicted after it, and the change of the loss of what really comes after it."""
    change = found.change
    tokens: list[dict[str, Any]] = [
        {
            "label": label,
            "change": None if np.isnan(change[at]) else float(change[at]),
            "prediction": found.labels[int(found.token_ids[at, 0])],
            "model": found.labels[int(found.full_token_ids[at, 0])],
            "agrees": bool(found.agrees[at]),
        }
        for at, label in enumerate(found.tokens)
    ]
    kept = sum(token["agrees"] for token in tokens)
    mean = "" if np.isnan(found.change).all() else f"Loss {np.nanmean(found.change):+.3f} nats a token on this text; "
    words = f"{mean}{kept} of {len(tokens)} predictions are the full model's. Dashed: another prediction."
    if mean:
        words += " The number is the change of the loss of the token that really comes next."
    return {"title": "What the plan changes, token by token", "tokens": tokens, "note": words.replace("-", "−", 1)}


def parting(found: Compared) -> dict[str, Any]:
    """Where the streams part: cosine and length against the full model's, stage by stage."""
    x = list(range(1, len(found.stages) + 1))

    def line(key: str, title: str, values: Any) -> dict[str, Any]:
        numbers = [float(value) if np.isfinite(value) else None for value in values]
        return {"key": key, "title": title, "values": numbers, "errors": [0.0] * len(numbers)}

    return {
        "title": "Where the streams part",
        "note": "After each stage, the stream beside the full model's behind the same block: mean over tokens.",
        "x": {"label": "stage", "values": x, "names": list(found.stages)},
        "y": {"label": "cosine, length ÷ length", "low": 0, "high": None, "format": "number"},
        "lines": [line("mat", "cosine", found.cosine), line("~ffn", "length", found.norm_ratio)],
        "marker": None,
        "guides": [{"y": 1, "title": ""}],
    }


def _both(found: Generation, masked: bool) -> str:
    """The prompt, faint, and what was written; a masked model's text is whole."""
    if masked:
        return escape(found.text)
    return f'<span class="lens-state">{escape(found.prompt)}</span>{escape(found.text)}'


PANEL = Panel(
    "assembly_line",
    "Assembly line",
    6,
    "Skip, reorder, repeat, parallelise and replace blocks, and see what that does to the sentence.",
    AssemblyLine,
    ("sentence", "k"),
)
