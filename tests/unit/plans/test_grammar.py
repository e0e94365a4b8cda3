"""Every line of the grammar, read into values and printed again."""

from __future__ import annotations

import pytest

from lens.plans import Blocks, Group, Jump, Parallel, Plan
from lens.wire import decode, encode

# text as a person writes it, the value, the canonical text
WRITTEN = [
    ("5", Blocks(5, 5), "5"),
    ("5-5", Blocks(5, 5), "5"),
    ("007", Blocks(7, 7), "7"),
    ("6x4", Blocks(6, 6, times=4), "6x4"),
    ("6x1", Blocks(6, 6), "6"),
    ("0-3", Blocks(0, 3), "0-3"),
    ("7-4", Blocks(7, 4), "7-4"),
    ("9~attn", Blocks(9, 9, "attn"), "9~attn"),
    ("9~lnx2", Blocks(9, 9, "ln", 2), "9~lnx2"),
    ("4-11~ffn", Blocks(4, 11, "ffn"), "4-11~ffn"),
    ("mat(4>12)", Jump("mat", 4, 12), "mat(4>12)"),
    ("id( 4 > 8 )", Jump("id", 4, 8), "id(4>8)"),
    ("low_rank8(0>1)", Jump("low_rank8", 0, 1), "low_rank8(0>1)"),
    ("x4(0>1)", Jump("x4", 0, 1), "x4(0>1)"),
    ("(4-7)x2", Group((Blocks(4, 7),), 2), "(4-7)x2"),
    ("(4-7)", Group((Blocks(4, 7),)), "(4-7)"),
    ("( 4  mat(5>6) )", Group((Blocks(4, 4), Jump("mat", 5, 6))), "(4 mat(5>6))"),
    ("((5)x2 6)x3", Group((Group((Blocks(5, 5),), 2), Blocks(6, 6)), 3), "((5)x2 6)x3"),
    ("[4-7]", Parallel((Blocks(4, 7),)), "[4-7]"),
    ("[4|6]+", Parallel((Blocks(4, 4), Blocks(6, 6)), "sum"), "[4|6]+"),
    ("[4-7]x3", Parallel((Blocks(4, 7),), times=3), "[4-7]x3"),
    ("[4|6]+x2", Parallel((Blocks(4, 4), Blocks(6, 6)), "sum", 2), "[4|6]+x2"),
    ("[ 4x2 | id(4>5) ]", Parallel((Blocks(4, 4, times=2), Jump("id", 4, 5))), "[4x2|id(4>5)]"),
    (
        "[(4 5)|([6|7])x2]",
        Parallel((Group((Blocks(4, 4), Blocks(5, 5))), Group((Parallel((Blocks(6, 6), Blocks(7, 7))),), 2))),
        "[(4 5)|([6|7])x2]",
    ),
    ("4–7", Blocks(4, 7), "4-7"),
    ("4−7", Blocks(4, 7), "4-7"),
    ("6×4", Blocks(6, 6, times=4), "6x4"),
    ("mat(4→12)", Jump("mat", 4, 12), "mat(4>12)"),
]

# the design's plans for 12 blocks: text, blocks run, depth
TWELVE = [
    ("0-11", 12, 12),
    ("0-3 8-11", 8, 8),
    ("0-3 7-4 8-11", 12, 12),
    ("0-3 6x4 8-11", 12, 12),
    ("0-3 [4-7] 8-11", 12, 9),
    ("0-3 [4-7]x3 8-11", 20, 11),
    ("0-3", 4, 4),
    ("0-3 mat(4>12)", 4, 4),
    ("0-3 mat(4>8) 8-11", 8, 8),
    ("0-3 [(4 5)|6]x2 8-11", 14, 12),
    ("id(0>12)", 0, 0),
]


@pytest.mark.parametrize(("text", "stage", "canonical"), WRITTEN)
def test_each_line_of_the_grammar(text: str, stage: Blocks | Jump | Group | Parallel, canonical: str) -> None:
    plan = Plan.parse(text)
    assert plan == Plan((stage,))
    assert str(plan) == str(stage) == canonical
    assert hash(plan) == hash(Plan.parse(canonical))


@pytest.mark.parametrize(("text", "applications", "depth"), TWELVE)
def test_plans_for_twelve_blocks(text: str, applications: int, depth: int) -> None:
    plan = Plan.parse(text, n_blocks=12)
    assert (str(plan), plan.applications, plan.depth) == (text, applications, depth)
    assert plan.check(12) is plan


def test_spaces_of_every_kind_separate_stages() -> None:
    assert str(Plan.parse(" \n0-3 \t 6x4\u00a0\r\n8-11 ")) == "0-3 6x4 8-11"


def test_full_is_every_block_once() -> None:
    assert str(Plan.full(12)) == "0-11"
    assert str(Plan.full(1)) == "0"


@pytest.mark.parametrize(("text", "blocks"), [("5", (5,)), ("0-3", (0, 1, 2, 3)), ("7-4", (7, 6, 5, 4)), ("6x4", (6,))])
def test_blocks_of_one_pass(text: str, blocks: tuple[int, ...]) -> None:
    (stage,) = Plan.parse(text).stages
    assert isinstance(stage, Blocks)
    assert stage.blocks == blocks


@pytest.mark.parametrize(
    ("text", "branches"),
    [
        ("[4-7]", ["4", "5", "6", "7"]),
        ("[7-6~attn|2x3]", ["7~attn", "6~attn", "2x3"]),
        ("[(4 5)|(6 7)]", ["(4 5)", "(6 7)"]),
        ("[mat(4>8)|4-5]x2", ["mat(4>8)", "4", "5"]),
    ],
)
def test_a_range_is_a_branch_per_block_and_a_group_is_one(text: str, branches: list[str]) -> None:
    (stage,) = Plan.parse(text).stages
    assert isinstance(stage, Parallel)
    assert [str(branch) for branch in stage.branches] == branches


def test_walk_meets_what_is_inside() -> None:
    plan = Plan.parse("0 ([(4 mat(5>6))|7]x2)x3")
    inside = ["0", "([(4 mat(5>6))|7]x2)x3", "[(4 mat(5>6))|7]x2", "(4 mat(5>6))", "4", "mat(5>6)", "7"]
    assert [str(stage) for stage in plan.walk()] == inside


def test_a_shared_engine_is_asked_for_a_plan_by_its_text() -> None:
    plan = Plan.parse("0-3 [4|6]x2 mat(8>12)")
    assert Plan.parse(decode(encode({"plan": plan}))["plan"]) == plan
