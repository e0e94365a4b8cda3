"""Where the grammar's rules begin and end: one step this side, one step that."""

from __future__ import annotations

import math

import pytest

from lens.errors import PlanError
from lens.plans import MAX_NESTING, MAX_TEXT, Blocks, Group, Jump, Parallel, Plan


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("[4-7]x2", "[4|5|6|7] [4|5|6|7]"),
        ("[5]", "5"),
        ("[5]+", "5"),
        ("[(4 5)]x2", "4 5 4 5"),
        ("4-6~attn", "4~attn 5~attn 6~attn"),
        ("4~ffnx2", "4~ffn 4~ffn"),
    ],
)
def test_plans_that_do_the_same_are_flat_alike(text: str, same: str) -> None:
    assert Plan.parse(text).flat == Plan.parse(same).flat


@pytest.mark.parametrize(("text", "other"), [("[5]*1.5", "5"), ("[4|5]", "4 5"), ("4~attn", "4"), ("[5]*2", "[5]")])
def test_plans_that_differ_are_not(text: str, other: str) -> None:
    assert Plan.parse(text).flat != Plan.parse(other).flat


@pytest.mark.parametrize(
    ("text", "compact"),
    [("4 5 6 5", "4-6 5"), ("6 5 4 5", "6-4 5"), ("4 4", "4x2"), ("4 5 5", "4 5x2"), ("4-4 3", "4-3"), ("4 6", "4 6")],
)
def test_a_range_ends_where_it_turns(text: str, compact: str) -> None:
    assert str(Plan.parse(text).compact) == compact


@pytest.mark.parametrize(
    ("text", "written"),
    [("[4|6]*100", "[4|6]*100"), ("[4|6]*10.50", "[4|6]*10.5"), ("[4|6]*0.25", "[4|6]*0.25"), ("[4|6]*1", "[4|6]")],
)
def test_scales_are_written_as_short_as_they_can_be(text: str, written: str) -> None:
    assert str(Plan.parse(text)) == written


@pytest.mark.parametrize("scale", [0, 0.0, -1, 1000.0001, 1001, 0.12345678, math.nan, math.inf, "2", True, None, 1j])
def test_scales_that_are_none(scale: object) -> None:
    with pytest.raises(PlanError, match="a mean is scaled by a number above 0"):
        Parallel((Blocks(4, 4), Blocks(6, 6)), "mean", 1, scale)  # type: ignore[arg-type]


def test_the_largest_scale_is_one_and_a_sum_has_none() -> None:
    branches = Blocks(4, 4), Blocks(6, 6)
    assert Parallel(branches, "mean", 1, 1000).scale == 1000
    with pytest.raises(PlanError) as refused:
        Parallel(branches, "sum", 1, 2)
    assert str(refused.value) == "a sum is not scaled: [4|6]+ is [4|6]*2, so write the mean and its scale"


def test_a_star_without_a_number_is_pointed_at() -> None:
    with pytest.raises(PlanError) as refused:
        Plan.parse("0 [4|6]* 7")
    assert str(refused.value) == "a number is missing after *: a scaled mean is written [4-7]*1.5"
    assert (refused.value.start, refused.value.end) == (7, 8)


def test_brackets_that_were_closed_do_not_count() -> None:
    side_by_side = " ".join(["(0 [1|2])"] * (MAX_NESTING + 2))
    assert len(Plan.parse(side_by_side).stages) == MAX_NESTING + 2
    deep = "(" * MAX_NESTING + "0" + ")" * MAX_NESTING
    assert Plan.parse(f"(1) {deep}").stages
    with pytest.raises(PlanError, match="brackets inside one another"):
        Plan.parse(f"(1 (2)) ({deep})")


@pytest.mark.parametrize(("text", "at"), [("[|4]", 1), ("[4|]", 3), ("[4|", 3), ("[]", 1)])
def test_a_branch_that_is_missing_is_pointed_at(text: str, at: int) -> None:
    with pytest.raises(PlanError, match="a branch is missing here") as refused:
        Plan.parse(text)
    assert (refused.value.start, refused.value.end) == (at, at + 1)


def test_json_that_is_none_is_pointed_at() -> None:
    with pytest.raises(PlanError, match="this is not JSON") as refused:
        Plan.from_json('{"stages" 1}')
    assert (refused.value.start, refused.value.end) == (10, 11)


@pytest.mark.parametrize(("source", "target", "named"), [(True, 3, "source"), (-1, 3, "source"), (0, "x", "target")])
def test_what_is_wrong_with_a_jump_is_named(source: object, target: object, named: str) -> None:
    with pytest.raises(PlanError, match=f"^{named} "):
        Jump("mat", source, target)  # type: ignore[arg-type]


def test_what_is_wrong_with_a_group_or_a_parallel_stage_is_named() -> None:
    with pytest.raises(PlanError, match=r"^stages must be a tuple, not list"):
        Group([Blocks(0, 0)])  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"^items must be a tuple, not list"):
        Parallel([Blocks(0, 0)])  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"^times must be a whole number, not 'x'"):
        Group((Blocks(0, 0),), "x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "count"),
    [("0-3", 0), ("3-0", 6), ("0 2 1 3", 1), ("1 0", 1), ("2 mat(2>4) 0", 1), ("1 [0|2] 0", 1), ("5 5 4", 2)],
)
def test_pairs_that_run_in_another_order_are_counted(text: str, count: int) -> None:
    """What jumps or runs side by side has no order."""
    assert Plan.parse(text).inversions == count


def test_a_plan_of_the_longest_text_is_one() -> None:
    longest = Plan((Jump("a" * (MAX_TEXT - len("(0>1)")), 0, 1),))
    assert len(str(longest)) == MAX_TEXT
    assert Plan.parse(str(longest)) == longest
