"""Lessons as pages: prose and questions whole, outputs only of the notebook as it is now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from docs._hooks import lessons

QUESTION = "<details>\n<summary>Why?</summary>\n\nBecause.\n\n</details>"
CELLS = [
    {"cell_type": "markdown", "source": ["# Some lesson\n", "\n", f"Prose.\n\n{QUESTION}"]},
    {"cell_type": "code", "source": ['lens.panels.curves(text="She")']},
    {"cell_type": "code", "source": ["table"]},
]
FRAME = '<style scoped>a {}</style><table border="1" class="dataframe"><tr style="x"><td>0.5</td></tr></table>'


def notebook(path: Path, cells: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8")
    return path


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lessons, "EXECUTED", tmp_path / "executed")
    return notebook(tmp_path / "own" / "3-some-lesson.ipynb", CELLS)


def executed(lesson: Path, *outputs: dict[str, Any]) -> None:
    notebook(lessons.EXECUTED / lesson.name, [*CELLS[:-1], {**CELLS[-1], "outputs": list(outputs)}])


def test_a_lesson_is_called_by_its_heading_and_number(lesson: Path) -> None:
    assert lessons.title(lesson) == "Some lesson"
    assert lessons.page(lesson).startswith("# Some lesson\n\n*Lesson 3.* ")


def test_questions_unfold_and_hold_markdown(lesson: Path) -> None:
    assert '<details class="question" markdown="1">\n<summary>Why?</summary>' in lessons.page(lesson)


def test_a_live_panel_is_called_by_its_title(lesson: Path) -> None:
    assert '!!! live "Curves, live in the notebook"\n\n    ```python\n    lens.panels.curves(' in lessons.page(lesson)


def test_a_panel_of_one_sentence_stands_in_the_page(lesson: Path) -> None:
    notebook(lesson, [CELLS[0], {"cell_type": "code", "source": ['lens.panels.jump(text="She shook her", source=6)']}])
    assert '<iframe src="live/3-some-lesson-1.html" title="Jump"' in lessons.page(lesson)
    assert "She shook her" in lessons.saved(lesson)[1]


def test_outputs_follow_their_code(lesson: Path) -> None:
    figure = {"application/vnd.plotly.v1+json": {"data": [], "layout": {"title": "</script>"}}}
    executed(lesson, {"data": {"text/html": FRAME}}, {"data": figure}, {"text": "said\n"})
    code, _, shown = lessons.page(lesson).partition("```python\ntable\n```")
    assert "<table><tr><td>0.5</td></tr></table>" in shown
    assert '<script type="application/json">{"data": [], "layout": {"title": "<\\/script>"}}</script>' in shown
    assert shown.endswith("```text\nsaid\n```\n")
    assert "0.5" not in code


def test_outputs_of_another_version_are_not_shown(lesson: Path) -> None:
    executed(lesson, {"text": "said\n"})
    notebook(lesson, [*CELLS[:-1], {**CELLS[-1], "source": ["another"]}])
    assert "said" not in lessons.page(lesson)
