"""Lessons are read from notebooks, and open in the workbench step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

import lens
from lens.engine import InlineEngine
from lens.errors import LensError
from lens.panels import Explore
from lens.panels._lesson import Question, lessons, read_lesson
from lens.panels._link import choices, from_link, whole
from lens.panels._prose import nodes
from lens.panels._session import Session


@pytest.fixture
def bench() -> Iterator[Explore]:
    bench = Explore(Session(), InlineEngine(), example=True)
    yield bench
    bench.close()


def notebook(folder: Path, *cells: str) -> Path:
    """A notebook of these cells: markdown, or code where it begins with `>`."""
    made = [
        nbformat.v4.new_code_cell(cell[1:]) if cell.startswith(">") else nbformat.v4.new_markdown_cell(cell)
        for cell in cells
    ]
    path = folder / "1-lesson.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


def go(bench: Explore, lesson: object, step: object = 1) -> None:
    bench.teaching.guide._handle_custom_msg({"kind": "go", "lesson": lesson, "step": step}, [])


def test_a_section_is_a_step_and_its_panel_is_its_state(tmp_path: Path) -> None:
    asked = "<details>\n<summary>Is <code>id</code> 1 &lt; 2?</summary>\n\nIt *is*.\n\n</details>"
    path = notebook(
        tmp_path,
        "# Title\n\nIntroduction.",
        ">import lens",
        "## First\n\nProse.",
        f"More.\n\n{asked}",
        '>made = lens.panels.jump("demo", text="a b", source=4)',
        f"Of a result.\n\n{asked}",
        ">lens.panels.r2()",
        "## Second\n\nEnd.",
        '>lens.explore(panel="curves")',
    )
    lesson = read_lesson(1, path)
    assert (lesson.title, lesson.intro) == ("Title", "Introduction.")
    first, second = lesson.steps
    assert (first.title, first.prose) == ("First", "Prose.\n\nMore.")
    assert first.state == {"panel": "jump", "model": "demo", "text": "a b", "source": 4}
    assert first.questions == (Question("Is `id` 1 < 2?", "It *is*."),) * 2
    assert (second.title, second.prose, second.state) == ("Second", "End.", {"panel": "curves"})


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["# Title"], "needs one heading '# …', and sections"),
        (["## Section", ">lens.panels.r2()"], "needs one heading"),
        (["# Title", "## Section", ">1 + 1"], "the section 'Section' has no live panel"),
        (
            ["# Title", "## Section", ">lens.panels.jump(text=text)"],
            "cell 2: the live panel of a lesson",
        ),
    ],
    ids=["no section", "no title", "no panel", "no plain value"],
)
def test_what_is_no_lesson_is_said(cells: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(LensError, match=words):
        read_lesson(1, notebook(tmp_path, *cells))


def test_prose_is_words_and_marks_that_can_be_drawn() -> None:
    assert nodes("One *two* `three <b>`\nfour <img src=x onerror=y> & &lt;\n\n1. [five](https://example.org)") == [
        {
            "tag": "p",
            "children": [
                "One ",
                {"tag": "em", "children": ["two"]},
                " ",
                {"tag": "code", "children": ["three <b>"]},
                " ",
                "four ",
                "<img src=x onerror=y>",
                " & <",
            ],
        },
        {
            "tag": "ol",
            "children": [
                {
                    "tag": "li",
                    "children": [{"tag": "a", "children": ["five"], "href": "https://example.org"}],
                }
            ],
        },
    ]


def test_a_bare_step_opens_its_whole_view(bench: Explore) -> None:
    step = lessons()[1].steps[1]
    bench.session.set_trait("k", 3)
    bench.follow("?lesson=1&step=2")
    assert choices(bench.session) == dict(step.state) | {"model": "demo", "lesson": 1, "step": 2}
    assert (bench.session.k, bench.teaching.button.value) == (8, True)
    assert bench.teaching.guide.steps[1]["title"] == step.title


def test_a_link_into_a_lesson_keeps_what_it_chooses() -> None:
    step = lessons()[1].steps[1]
    session = Session(**whole({"lesson": 1, "step": 2}))
    session.source = Session().source  # as a fresh session has it, unlike the step
    found, left_out = from_link(choices(session))
    assert left_out == []
    assert step.state["source"] != found["source"] == session.source
    assert Session(**whole(found)).source == session.source


def test_the_rail_goes_through_a_lesson_and_closes(bench: Explore) -> None:
    assert bench.teaching.guide.layout.display == "none"
    bench.teaching.button.value = True
    assert (bench.teaching.guide.layout.display, bench.teaching.guide.lesson) == (None, 0)
    go(bench, 1)
    assert (bench.session.lesson, bench.session.step, bench.session.source) == (1, 1, 12)
    go(bench, 1, 3)
    assert (bench.session.panel, bench.session.cast) == ("lens_table", "id")
    go(bench, 0)
    assert (bench.session.lesson, bench.teaching.guide.steps, bench.teaching.button.value) == (None, [], True)
    assert bench.session.panel == "lens_table"
    go(bench, 2)
    bench.teaching.guide._handle_custom_msg({"kind": "close"}, [])
    assert (bench.session.lesson, bench.teaching.guide.layout.display) == (None, "none")


@pytest.mark.parametrize("lesson", [-1, 99, "x", None, [1]])
def test_what_a_page_asks_for_that_is_not_there_changes_nothing(lesson: object, bench: Explore) -> None:
    before = bench.state
    go(bench, lesson)
    assert bench.state == before


def test_a_step_beyond_the_last_is_the_last(bench: Explore) -> None:
    go(bench, 1, 99)
    assert bench.teaching.guide.step == len(lessons()[1].steps)
    assert bench.session.model == "demo-bert"


def test_explore_opens_a_lesson_and_what_is_chosen_comes_first() -> None:
    bench = lens.explore(lesson=1, step=2, k=3)
    step = lessons()[1].steps[1]
    assert (bench.session.text, bench.session.source, bench.session.k) == (step.state["text"], step.state["source"], 3)
    bench.close()
    with pytest.raises(LensError, match="can't be made"):
        lens.explore(lesson=99)
