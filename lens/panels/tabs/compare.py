"""Two sentences, two models or two plans beside each other, on the same scales."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.errors import LensError
from lens.models import Model
from lens.numerics import Compared
from lens.panels._beside import OTHERS, Beside
from lens.panels._desk import Desk
from lens.panels._doubt import highest
from lens.panels._masking import MASK
from lens.panels._panel import Panel, Seen
from lens.panels._python import call, opening, program
from lens.panels._shelf import Answer, Question
from lens.panels._undo import watch
from lens.panels._work import Problem
from lens.panels.live import Chart, LensTable, Notice, Shifts, TopK
from lens.panels.tabs.assembly_line import columns as under_plan
from lens.panels.tabs.assembly_line import parting, shifts
from lens.panels.tabs.jump import columns
from lens.panels.tabs.lens_table import picture
from lens.plans import Plan

__all__ = ["PANEL", "Compare"]


class Compare(Seen, widgets.VBox):
    """A is the session; B differs from it in one thing. Bars share a scale, and so do the tables."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.pair: Any = None  # what A and B answered
        session = desk.session
        self.beside = Beside(desk)
        self.notice = Notice()
        self.topk = TopK()
        self.tables = LensTable(), LensTable()
        self.shifts = Shifts(), Shifts()
        self.streams = Chart()
        self._readings, self._plans = (widgets.HBox(pair) for pair in (self.tables, self.shifts))
        for row in (self._readings, self._plans):
            row.add_class("lens-charts")
        super().__init__([self.beside, self.notice, self.topk, self._readings, self._plans, self.streams])
        self.undo = [
            *(widgets.link((session, name), (t, name)).unlink for name in ("cast", "metric") for t in self.tables),
            watch(session, ["against", *OTHERS.values(), "plan"], self.draw),
            watch(session, ["source", "k", "cast"], self._draw_again),
            watch(desk, ["answer"], self.draw),
            *(t.on_message("pick", self._pick) for t in self.tables),
        ]

    def python(self) -> str:
        """Ask both, and put what they say beside each other."""
        return self._plans_python() if self._desk.session.against == "plan" else self._readings_python()

    def draw(self) -> None:
        """Ask for B where it is not known, then draw both."""
        if not self.visible or self._desk.answer is None:
            return
        self.beside.fill()
        try:
            work = self._plans_work() if self._desk.session.against == "plan" else self._readings_work()
        except LensError as error:
            self.notice.error(str(error))
            return
        self._busy(True)
        self._desk.work.do("compare", lambda _: work(), self._found, self._failed)

    def _pick(self, message: dict[str, Any]) -> None:
        answer: Answer | None = self._desk.answer
        if answer and 0 <= (source := int(message["source"])) <= answer.target:
            self._desk.session.source = source

    # -------------------------------------------------------------- two readings

    def _readings_work(self) -> Any:
        desk, session = self._desk, self._desk.session
        one = desk.answer.question
        name = self.beside.other if session.against == "model" else one.model
        a = desk.answer

        def work() -> tuple[Answer, Answer]:
            if not desk.shelf.ready(name):
                desk.shelf.load(name)
            text = self.beside.other if session.against == "text" else _suited(one.text, desk.shelf.models[name])
            return a, desk.shelf.answer(Question(name, text, one.target, one.position))

        return work

    def _draw_readings(self, pair: tuple[Answer, Answer]) -> None:
        session = self._desk.session
        bars = []
        for letter, answer in zip("AB", pair, strict=True):
            for column in columns(answer, session.source, session.k, None):
                if column["key"] in (_bar_cast(session.cast), "model"):
                    told = answer.name if session.against == "model" else answer.tokens.text
                    subtitle = f"{_short(told)} · {column['subtitle']}"
                    bars.append(
                        column | {"title": f"{letter} · {column['title']}", "subtitle": subtitle, "action": None}
                    )
        self.topk.show(columns=sorted(bars, key=lambda column: column["key"] == "model"), k=session.k)
        readings = [answer.reading for answer in pair if answer.reading is not None]
        scale = _linked([picture(answer, answer.reading) for answer in pair if answer.reading is not None])
        for table, spec, answer, letter in zip(self.tables, scale, pair, "AB", strict=False):
            spec["spec"] |= {"title": f"{letter} · {_short(answer.tokens.text)}"}
            table.fill(**spec, source=min(session.source, answer.target), position=answer.position)
        silent = [answer.name for answer in pair if answer.reading is None]
        if silent:
            self.notice.info(f"{silent[0]} fills in masks, and its sentence has none: type {MASK} for a word.")
        elif session.against == "model" and pair[0].tokens.text != pair[1].tokens.text:
            self.notice.info(f"{pair[1].name} is asked: {pair[1].question.text}")
        self._readings.layout.display = "" if len(readings) == 2 else "none"

    def _readings_python(self) -> str:
        desk, session = self._desk, self._desk.session
        one, name, text, lines = desk.answer, "model", repr(self.beside.other), []
        if session.against == "model":
            name, text = "other", repr(self.pair[1].question.text if self.pair else one.question.text)
            lines = [call("other = lens.load", repr(self.beside.other))]
        target = None if one.target == one.model.n_blocks else one.target
        maps = "=maps" if desk.own_maps else None
        of_b = None if session.against == "model" else maps
        return program(
            *opening(desk, "import pandas as pd"),
            *lines,
            call("a = lens.read", "model", repr(one.question.text), target=target, k=session.k, maps=maps),
            call("b = lens.read", name, text, target=target, k=session.k, maps=of_b),
            "frame = pd.concat({'A': a.frame(), 'B': b.frame()}, names=['of']).reset_index('of')",
        )

    # -------------------------------------------------------------- two plans

    def _both(self) -> tuple[Plan, Plan]:
        n_blocks = self._desk.answer.model.n_blocks
        text = self._desk.session.plan.strip()
        return Plan.parse(text, n_blocks) if text else Plan.full(n_blocks), Plan.parse(self.beside.other, n_blocks)

    def _plans_work(self) -> Any:
        shelf, question, plans = self._desk.shelf, self._desk.answer.question, self._both()
        return lambda: tuple(shelf.compared(question, plan) for plan in plans)

    def _draw_plans(self, pair: tuple[Compared, Compared]) -> None:
        session, position = self._desk.session, self._desk.answer.position
        most = max(0.5, *(float(np.nanmax(np.abs([0.0, *found.change[:-1]]))) for found in pair))
        bars = []
        for letter, found, widget in zip("AB", pair, self.shifts, strict=True):
            column, own = under_plan(found, position, session.k)
            bars.append(column | {"title": f"{letter} · plan", "subtitle": _short(found.plan)})
            spec = shifts(found)
            widget.spec = spec | {"title": f"{letter} · {_short(found.plan)}", "most": most}
        self.topk.show(columns=[*bars, own], k=session.k)
        self.streams.spec = _parted(pair)

    def _plans_python(self) -> str:
        desk = self._desk
        text, k = repr(desk.answer.question.text), desk.session.k
        maps = "=maps" if desk.own_maps else None
        calls = [
            call(f"{letter} = lens.compare_plan", "model", text, repr(str(plan)), k=k, maps=maps)
            for letter, plan in zip("ab", self._both(), strict=True)
        ]
        frame = "frame = pd.concat({'A': a.frame(), 'B': b.frame()}, names=['of']).reset_index('of')"
        return program(*opening(desk, "import pandas as pd"), *calls, frame)

    # -------------------------------------------------------------- what came

    def _found(self, pair: Any) -> None:
        self.pair = pair
        self.notice.clear()
        self._busy(False)
        self._draw_again()

    def _draw_again(self) -> None:
        if self.pair is None or not self.visible:
            return
        plans = isinstance(self.pair[0], Compared)
        for row, shown in ((self._readings, not plans), (self._plans, plans), (self.streams, plans)):
            row.layout.display = "" if shown else "none"
        (self._draw_plans if plans else self._draw_readings)(self.pair)

    def _failed(self, problem: Problem) -> None:
        self._busy(False)
        self.notice.error(problem.text)

    def _busy(self, busy: bool) -> None:
        for picture_ in (self.topk, *self.tables, *self.shifts, self.streams):
            picture_.busy = busy


def _suited(text: str, model: Model) -> str:
    """The same question to a model of another kind: what comes next is what a mask at the end stands for."""
    if model.kind == "masked" and MASK not in text:
        return f"{text.rstrip()} {MASK}."
    if model.kind == "causal" and MASK in text:
        return text.partition(MASK)[0].rstrip() or text
    return text


def _bar_cast(cast: str) -> str:
    return "mat" if cast == "difference" else cast


def _short(text: str, most: int = 40) -> str:
    """The beginning of a sentence, isolated where it may turn the direction of the words beside it."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return short if short.isascii() else f"\u2068{short}\u2069"


def _linked(pictures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pictures whose metrics begin and end where the others' do, so that one colour means one number."""
    metrics = [each["spec"]["metrics"] for each in pictures]
    for same in zip(*metrics, strict=True):
        low = min(metric["low"] for metric in same)
        high, most = (highest([metric[end] for metric in same]) for end in ("high", "most"))
        for metric in same:
            metric |= {"low": low, "high": high, "most": most}
    return pictures


def _parted(pair: tuple[Compared, Compared]) -> dict[str, Any]:
    """How far both streams are from the full model's, stage by stage."""
    specs = [parting(found) for found in pair]
    lines = [
        spec["lines"][0] | {"key": key, "title": f"{letter}, cosine", "x": spec["x"]["values"]}
        for letter, key, spec in zip("AB", ("mat", "id"), specs, strict=True)
    ]
    stages = list(range(1, max(len(found.stages) for found in pair) + 1))
    return specs[0] | {"x": {"label": "stage", "values": stages}, "lines": lines}


PANEL = Panel(
    "compare",
    "Compare",
    10,
    "Two sentences, two models or two plans beside each other, on the same scales.",
    Compare,
    ("sentence", "source", "target", "k"),
)
