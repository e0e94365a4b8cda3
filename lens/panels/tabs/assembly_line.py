"""The assembly line: arrange the blocks of a model, and see beside the full model what that does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.errors import LensError, PlanError
from lens.numerics import NO_TOKEN, Compared
from lens.panels._desk import Desk
from lens.panels._doubt import NOT_FINITE, number
from lens.panels._panel import Panel
from lens.panels._python import call, opening, program
from lens.panels._recipe_form import RecipeForm
from lens.panels._shelf import Answer
from lens.panels._undo import Undoing, watch
from lens.panels._work import Problem
from lens.panels._writing import Writing
from lens.panels.live import Chart, Shifts, Strip, TopK, plan_of
from lens.plans import Plan

__all__ = ["PANEL", "AssemblyLine", "columns", "parting", "shifts"]

HISTORY = 200  # plans that can be gone back to


class History:
    """The plans that were, as texts, and which of them stands now; the oldest are forgotten."""

    def __init__(self) -> None:
        self._plans = [""]
        self._at = 0

    @property
    def now(self) -> str:
        """The plan that stands."""
        return self._plans[self._at]

    def add(self, plan: str) -> None:
        """A new plan, after which nothing can be done again."""
        self._plans = [*self._plans[: self._at + 1], plan][-HISTORY:]
        self._at = len(self._plans) - 1

    def reaches(self, by: int) -> bool:
        """Whether there is a plan so many steps on, or back."""
        return 0 <= self._at + by < len(self._plans)

    def go(self, by: int) -> str:
        """Stand there, and give that plan."""
        self._at += by
        return self.now


class AssemblyLine(Undoing, widgets.VBox):
    """A strip of tiles, its text, presets; under it predictions, losses, streams and written text of both."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.visible = False
        self._compared: Compared | None = None
        self._history = History()
        self.strip = Strip()
        self.presets = RecipeForm(self._use, self._refuse)
        self.topk = TopK()
        self.shifts, self.streams = Shifts(), Chart()
        self.writing = Writing(desk, self._plan)
        pictures = widgets.HBox([self.shifts, self.streams])
        pictures.add_class("lens-charts")
        super().__init__([self.presets, self.strip, self.topk, pictures, self.writing])
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
        self._history.add(text)
        self.desk.session.plan = text

    def _travel(self, by: int) -> None:
        if self._history.reaches(by):
            self.presets.reset()
            self.desk.session.plan = self._history.go(by)

    def _planned(self) -> None:
        if self._history.now != self.desk.session.plan:  # set from outside: a link, another panel
            self._history.add(self.desk.session.plan)
        self._show_plan()
        self._ask()

    def _show_plan(self) -> None:
        if not self._n_blocks:
            return
        travel = {"can_undo": self._history.reaches(-1), "can_redo": self._history.reaches(1)}
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

        def failed(problem: Problem) -> None:
            self._busy(False)
            self.strip.error = {"message": problem.text}

        shelf, question = self.desk.shelf, answer.question
        self.desk.work.do("plan", lambda _: shelf.compared(question, plan), done, failed)

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


PANEL = Panel(
    "assembly_line",
    "Assembly line",
    6,
    "Skip, reorder, repeat, parallelise and replace blocks, and see what that does to the sentence.",
    AssemblyLine,
    ("sentence", "k"),
)
