"""Lessons beside the workbench: a rail with their steps, each of which sets the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from lens.panels._lesson import Lesson, lessons
from lens.panels._prose import nodes
from lens.panels._session import Session
from lens.panels._undo import watch
from lens.panels.live import Guide

__all__ = ["Teaching"]


class Teaching:
    """The button that opens the rail, and the rail, which shows the session's lesson; `follow` opens a step of one."""

    def __init__(self, session: Session, follow: Callable[[Mapping[str, Any]], None]) -> None:
        self._session, self._follow = session, follow
        self.button = widgets.ToggleButton(
            value=session.lesson is not None, description="Lessons", tooltip="A short course, beside the workbench"
        )
        self.guide = Guide(lessons=[{"number": each.number, "title": each.title} for each in lessons().values()])
        self._undo = [
            watch(session, ["lesson", "step"], self._draw),
            watch(self.button, ["value"], self._toggled),
            self.guide.on_message("go", self._go),
            self.guide.on_message("close", self._shut),
        ]
        self._draw()

    def close(self) -> None:
        """Leave no observer behind."""
        while self._undo:
            self._undo.pop()()

    def _go(self, message: dict[str, Any]) -> None:
        """A step was chosen; lesson 0 is the list of lessons."""
        if message.get("lesson") == 0:
            self._session.lesson = None
        else:
            self._follow({"lesson": message.get("lesson"), "step": message.get("step", 1)})

    def _shut(self, _: Any) -> None:
        self.button.value = False
        self.button.focus()  # where it was opened

    def _toggled(self) -> None:
        if not self.button.value:
            self._session.lesson = None
        self._draw()

    def _draw(self) -> None:
        lesson = None if self._session.lesson is None else lessons()[self._session.lesson]
        if lesson is not None:
            self.button.value = True
        self.guide.layout.display = None if self.button.value else "none"
        steps = _steps(lesson) if lesson else []
        self.guide.show(
            lesson=lesson.number if lesson else 0, steps=steps, step=max(1, min(self._session.step, len(steps)))
        )


def _steps(lesson: Lesson) -> list[dict[str, Any]]:
    """What the rail draws of each step; the first is preceded by what introduces the lesson."""
    return [
        {
            "title": step.title,
            "prose": nodes("\n\n".join([lesson.intro, step.prose] if place == 0 else [step.prose])),
            "questions": [{"asked": nodes(each.asked), "answer": nodes(each.answer)} for each in step.questions],
        }
        for place, step in enumerate(lesson.steps)
    ]
