"""Lessons: notebooks whose sections are steps. A notebook is all there is of its lesson; this reads it.

A section begins with a heading of the second level. Its state is what its live panel is called with, as in
`lens.panels.jump(text="The old man", source=4)`; its prose is the markdown up to there; its questions are the
`<details>` of the whole section. What stands before the first section introduces the lesson.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from lens.errors import LensError

__all__ = ["Lesson", "Question", "Step", "lesson_notebooks", "lessons", "read_lesson", "step_at"]

HERE: Final = Path(__file__)
FOLDERS: Final = (HERE.with_name("lessons"), HERE.parents[2] / "notebooks" / "lessons")  # installed, or a checkout
HEADING = re.compile(r"^(##?) +(.+?)\s*$", re.MULTILINE)
DETAILS = re.compile(r"<details>\s*<summary>(.+?)</summary>(.*?)</details>", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """Something to think about, and what there is to say; both are markdown."""

    asked: str
    answer: str


@dataclass(frozen=True)
class Step:
    """One view with what to look for in it."""

    title: str
    prose: str  # markdown
    state: Mapping[str, Any]  # choices of a session, the panel among them
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Lesson:
    """A notebook's steps in order."""

    number: int
    title: str
    intro: str  # markdown
    steps: tuple[Step, ...]


@dataclass
class _Section:
    """What is gathered of a section while its cells go by."""

    title: str
    prose: list[str] = field(default_factory=list)
    state: dict[str, Any] | None = None
    questions: list[Question] = field(default_factory=list)


def lesson_notebooks() -> dict[int, Path]:
    """The notebook of each lesson by its number, which its name begins with."""
    folder = next(filter(Path.is_dir, FOLDERS), None)
    found = sorted(folder.glob("[0-9]*-*.ipynb")) if folder else []
    return {int(path.name.partition("-")[0]): path for path in found}


@cache
def lessons() -> dict[int, Lesson]:
    """Every lesson by its number. LensError where a notebook is not a lesson."""
    return {number: read_lesson(number, path) for number, path in sorted(lesson_notebooks().items())}


def step_at(lesson: int | None, step: int) -> Step | None:
    """A step, counted from 1; the last of the lesson where there are not so many, and None without a lesson."""
    if lesson is None:
        return None
    steps = lessons()[lesson].steps
    return steps[min(step, len(steps)) - 1]


def read_lesson(number: int, path: Path) -> Lesson:
    """The lesson that a notebook holds. LensError, with the cell, where it does not hold one."""
    title, sections = "", [_Section("")]
    for place, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] != "markdown":
            sections[-1].state = sections[-1].state or _state(source, f"{path.name}, cell {place}")
            continue
        if heading := HEADING.match(source):
            source = source[heading.end() :]
            if heading[1] == "#":
                title = heading[2]
            else:
                sections.append(_Section(heading[2]))
        _take(sections[-1], source)
    intro, *steps = sections
    if not title or not steps:
        raise LensError(f"{path.name} is no lesson: it needs one heading '# …', and sections that begin with '## …'.")
    return Lesson(number, title, _joined(intro.prose), tuple(_step(section, path.name) for section in steps))


def _take(section: _Section, source: str) -> None:
    section.questions += [Question(_markdown(asked), answer.strip()) for asked, answer in DETAILS.findall(source)]
    if section.state is None:
        section.prose.append(DETAILS.sub("", source))


def _step(section: _Section, name: str) -> Step:
    if section.state is None:
        raise LensError(f"{name}: the section {section.title!r} has no live panel, such as lens.panels.jump(source=4).")
    return Step(section.title, _joined(section.prose), section.state, tuple(section.questions))


def _markdown(summary: str) -> str:
    """A `<summary>`, in which a notebook reads HTML and no markdown."""
    return re.sub(r"</?em>", "*", re.sub(r"</?code>", "`", html.unescape(summary))).strip()


def _joined(prose: Iterable[str]) -> str:
    return "\n\n".join(filter(None, map(str.strip, prose)))


def _state(source: str, place: str) -> dict[str, Any] | None:
    """What the first live panel of a code cell is called with; None where it has none."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for call in calls:
        *house, name = ast.unparse(call.func).split(".")
        if house == ["lens", "panels"]:
            return {"panel": name} | _arguments(call, place)
        if [*house, name] == ["lens", "explore"]:
            return _arguments(call, place)
    return None


def _arguments(call: ast.Call, place: str) -> dict[str, Any]:
    try:
        return {str(each.arg): ast.literal_eval(each.value) for each in call.keywords} | dict(
            zip(("model", "text"), map(ast.literal_eval, call.args), strict=False)
        )
    except ValueError:
        raise LensError(f"{place}: the live panel of a lesson is called with plain values, as a link holds.") from None
