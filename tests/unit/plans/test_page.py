"""The page on plans says what the code does."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from lens.plans import Plan

PAGE = Path(__file__).parents[3] / "docs" / "plans.md"
ROW = re.compile(r"^\| `(.+?)` \| .+ \| (\d+) \| (\d+) \|$", re.MULTILINE)
WRITTEN = re.compile(r"^\| `(.+?)` \| [^|]+ \|$", re.MULTILINE)


def test_the_code_on_the_page_runs_as_printed() -> None:
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert attempted > 10
    assert failed == 0


@pytest.mark.parametrize(("text", "applications", "depth"), ROW.findall(PAGE.read_text(encoding="utf-8")))
def test_each_example_counts_what_the_page_says(text: str, applications: str, depth: str) -> None:
    plan = Plan.parse(text, n_blocks=12)
    assert (str(plan), plan.applications, plan.depth) == (text, int(applications), int(depth))


def test_everything_in_the_first_table_is_a_plan() -> None:
    written = WRITTEN.findall(PAGE.read_text(encoding="utf-8"))
    texts = [text.replace(r"\|", "|") for text in written]
    assert len(texts) > 10
    assert [str(Plan.parse(text, n_blocks=12)) for text in texts] == texts
