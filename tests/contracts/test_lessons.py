"""Every lesson: its steps are whole links to panels that exist, and all of its prose can be drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lens.panels import panels
from lens.panels._lesson import Lesson, Step, lessons
from lens.panels._link import choices, from_link, to_link
from lens.panels._prose import Node, nodes
from lens.panels._session import Session

STEPS = [(number, place) for number, lesson in lessons().items() for place in range(len(lesson.steps))]


@pytest.fixture(params=STEPS, ids=lambda place: f"{place[0]}.{place[1] + 1}")
def step(request: pytest.FixtureRequest) -> Step:
    """Each step of each lesson."""
    number, place = request.param
    return lessons()[number].steps[place]


@pytest.fixture(params=list(lessons()))
def lesson(request: pytest.FixtureRequest) -> Lesson:
    """Each lesson."""
    return lessons()[request.param]


def words(found: list[Node]) -> Iterator[str]:
    for node in found:
        if isinstance(node, str):
            yield node
        elif node["tag"] not in ("code", "pre"):
            yield from words(node["children"])


def test_they_are_numbered_from_one() -> None:
    assert list(lessons()) == list(range(1, len(lessons()) + 1))
    assert len(lessons()) >= 7


def test_its_state_is_a_whole_link(step: Step) -> None:
    found, left_out = from_link(step.state)
    assert left_out == []
    assert step.state["panel"] in panels()
    assert from_link(to_link(Session(**found))) == (choices(Session(**found)), [])


def test_it_says_what_it_reads(step: Step) -> None:
    reads = panels()[step.state["panel"]].controls
    assert "text" in step.state or "sentence" not in reads


def test_it_has_prose_that_can_be_drawn(lesson: Lesson) -> None:
    texts = [lesson.intro, *(step.prose for step in lesson.steps)]
    texts += [text for step in lesson.steps for each in step.questions for text in (each.asked, each.answer)]
    assert all(texts)
    for text in texts:
        assert not re.search(r"</?[a-z]+>|^\s*\||\*\*|`", " ".join(words(nodes(text)))), text


def test_it_asks_questions(lesson: Lesson) -> None:
    assert sum(len(step.questions) for step in lesson.steps) >= 2
    assert all(step.questions for step in lesson.steps)
