"""What is refused, word by word and with its place."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields

import pytest

from lens.errors import PlanError
from lens.plans import MAX_APPLICATIONS, MAX_NESTING, MAX_TEXT, Blocks, Group, Jump, Parallel, Plan, Stage

EMPTY = (
    "a plan needs at least one stage, such as 0-3; "
    "to read the embeddings directly write id(0>L), where L is the number of blocks"
)
BRANCH = "a branch is a block, a range, a jump or a group; to run a parallel stage in a branch, group it: [([4|5] 6)|7]"
STAGE = "a stage is a block 5, a range 0-3, a jump mat(4>12), branches [4|6] or a group (4-7)x2"
CAST = (
    "cannot be the name of a cast: it starts with a small letter, and small letters, digits and _ follow, "
    "as in mat(4>12)"
)
STRAY = "cannot be here: it closes nothing that is open here; check the brackets"
RANGE = "'-' cannot be here: a range is two block numbers without spaces, as in 0-3"
MISSING_BRANCH = "a branch is missing here: write a block, a range, a jump or a group, as in [4|6]"
NOT_STAGE = "is not a stage: a jump is written mat(4>12), and a repeat without spaces, 6x4"
DEEP = "more than 16 brackets inside one another: write the plan with fewer"
LONG = (
    "blocks and jumps, and a plan runs at most 4,096: lower a count after x or shorten a range. "
    "Who runs lens can allow more by LENS_MAX_STEPS."
)

# the text, with the mistake between « and », and the message for a model of 12 blocks
MISTAKES = [
    ("«»", EMPTY),
    ("«  »", EMPTY),
    ("0-«12»", "block 12 does not exist: this model has blocks 0 to 11"),
    ("0-3 [4|«99»]", "block 99 does not exist: this model has blocks 0 to 11"),
    ("0-3 mat(4>«13»)", "layer 13 does not exist: in this model a jump goes between layers 0 and 12"),
    ("0-3 «mat(8>4)»", "a jump goes up: 4 is not above 8; put the higher layer last, as in mat(4>12)"),
    ("«mat(4>4)»", "a jump goes up: 4 is not above 4; put the higher layer last, as in mat(4>12)"),
    ("0-3«,» 8-11", "',' cannot be here: separate stages with a space, and branches with |"),
    ("9~«mlp»", "'mlp' is not a part of a block: the parts are attn, ffn, ln"),
    ("9~«»", "a part is missing after ~: the parts are attn, ffn, ln"),
    ("0-3 «4-7x2» 8-11", "x repeats a single block only: for this range write (4-7)x2"),
    ("«7-4~lnx3»", "x repeats a single block only: for this range write (7-4~ln)x3"),
    ("0-3 «(»4-7", "this ( is never closed: add a )"),
    ("0-3 «[»4-7", "this [ is never closed: add a ]"),
    ("mat«(»4>8", "this ( is never closed: add a )"),
    ("4-7«)» 8", f"')' {STRAY}"),
    ("(4-7«]»", f"']' {STRAY}"),
    ("0 «-» 3", RANGE),
    ("0-3«-»5", RANGE),
    ("«-»1", RANGE),
    ("0-«»", "a block number is missing here: a range is written 0-3"),
    ("6 «x4»", f"'x4' {NOT_STAGE}"),
    ("0-3 «skip» 8", f"'skip' {NOT_STAGE}"),
    ("6x«»", "a count is missing after x: a repeat is written 6x4"),
    ("6«x0»", "x0 would run nothing: a count is at least 1; to run nothing, leave the stage out"),
    (
        "6«*»4",
        "'*' cannot be here: write a repeat with x, as in 6x4; * scales a mean, right after ], as in [4-7]*1.5",
    ),
    ("4«:»7", "':' cannot be here: write a range with -, as in 0-3"),
    ("[4 «6»]", "'6' cannot be here: separate branches with |, as in [4|6]"),
    ("[«]»", MISSING_BRANCH),
    ("[4|«]»", MISSING_BRANCH),
    ("[4|«»", MISSING_BRANCH),
    ("4«|»6", "'|' cannot be here: it separates branches inside [ ], as in [4|6]"),
    ("[«[4|5]»|6]", BRANCH),
    ("[4-7]x3«+»", "'+' cannot be here: it comes right after ] and before any x, as in [4|6]+"),
    ("6x4«~»attn", "'~' cannot be here: one part comes right after its block and before any x, as in 9~attn"),
    ("«()»", "a group needs at least one stage, as in (4-7)x2"),
    ("(4)«(»5)", "'(' cannot be here: put a space between stages"),
    ("5«m»at(4>8)", "'m' cannot be here: put a space between stages"),
    ("mat(«>»8)", "a layer number is missing here: a jump is written mat(4>12)"),
    ("mat(4 «8»)", "a > is missing here: a jump is written mat(4>12)"),
    ("mat(4>8 «9»)", "'9' cannot be here: a jump ends with ), as in mat(4>12)"),
    ("mat(4>8«>»9)", "'>' cannot be here: it belongs inside a jump, as in mat(4>12)"),
    ("«Mat(4>8)»", f"'Mat' {CAST}"),
    ("0-3 «<»script>", f"'<' cannot be here: {STAGE}"),
    ("9x«1000000000»", "this number is too large: a number has at most 9 digits"),
    ("0–3 6×2 mat(4→8) 8–«12»", "block 12 does not exist: this model has blocks 0 to 11"),
]

BOUNDS = [
    ("«9x999999999»", f"this runs 999,999,999 {LONG}"),
    ("«0-999999998»", f"this runs 999,999,999 {LONG}"),
    ("((((«(0x999)x999»)x999)x999)x999)", f"this runs 998,001 {LONG}"),
    ("«(id(0>1))x999999999»", f"this runs 999,999,999 {LONG}"),
    ("«[0|1]x4096»", f"this runs 8,192 {LONG}"),
    ("«0x4096 1»", f"this runs 4,097 {LONG}"),
    ("(" * 16 + "«(»" + "0" + ")" * 17, DEEP),
    ("(" * 16 + "«(»" + "(" * 9000, DEEP),
    ("([" * 8 + "«(»" + "[" * 9000, DEEP),
    (
        "5 " * 5000 + "«»5",
        "this plan has 10,001 characters, and at most 10,000 are read: use ranges and repeats",
    ),
]


def refused(make: Callable[[], object]) -> PlanError:
    with pytest.raises(PlanError) as caught:
        make()
    return caught.value


def check_place(marked: str, error: PlanError) -> None:
    before, rest = marked.split("«")
    mistake, _ = rest.split("»")
    assert error.start == len(before)
    assert error.end == len(before) + max(1, len(mistake))


@pytest.mark.parametrize(("marked", "message"), MISTAKES)
def test_a_mistake_is_named_and_placed(marked: str, message: str) -> None:
    text = marked.replace("«", "").replace("»", "")
    error = refused(lambda: Plan.parse(text, n_blocks=12))
    assert str(error) == message
    assert error.text == text
    check_place(marked, error)


@pytest.mark.parametrize(("marked", "message"), BOUNDS)
def test_what_explodes_is_refused_before_it_is_expanded(marked: str, message: str) -> None:
    error = refused(lambda: Plan.parse(marked.replace("«", "").replace("»", "")))
    assert str(error) == message
    check_place(marked, error)


def test_the_bounds_themselves_are_allowed() -> None:
    assert Plan.parse(f"0x{MAX_APPLICATIONS}").applications == MAX_APPLICATIONS
    assert str(Plan.parse("(" * MAX_NESTING + "mat(0>1)" + ")" * MAX_NESTING)).count("(") == MAX_NESTING + 1
    assert len(Plan.parse("0" + " " * (MAX_TEXT - 1)).stages) == 1
    assert len(Plan.parse("([0]) " * (MAX_NESTING + 1)).stages) == MAX_NESTING + 1


def test_a_mistake_is_pointed_at_under_broken_lines_too() -> None:
    error = refused(lambda: Plan.parse("0-3\n8-12", n_blocks=12))
    picture = ["block 12 does not exist: this model has blocks 0 to 11", "  0-3 8-12", "        ^^"]
    assert error.pointed().splitlines() == picture


def test_check_points_into_the_canonical_text() -> None:
    plan = Plan.parse("  0-3    mat(4>13)")
    error = refused(lambda: plan.check(12))
    assert (error.text, error.start, error.end) == ("0-3 mat(4>13)", 10, 12)
    assert plan.check(13) is plan


@pytest.mark.parametrize("n_blocks", [0, -1])
def test_a_model_has_blocks(n_blocks: int) -> None:
    error = refused(lambda: Plan.parse("0", n_blocks))
    assert str(error) == f"a model has at least one block, not {n_blocks}"
    refused(lambda: Plan.full(n_blocks))


VALUES: list[tuple[Callable[[], object], str]] = [
    (lambda: Plan(()), EMPTY),
    (lambda: Plan([Blocks(0, 1)]), "stages must be a tuple, not list"),  # type: ignore[arg-type]
    (lambda: Plan(("0-1",)), "'0-1' is not a stage: use Blocks, Jump, Group or Parallel"),  # type: ignore[arg-type]
    (lambda: Plan((Blocks(0, 4095), Blocks(0, 0))), f"this runs 4,097 {LONG}"),
    (
        lambda: Plan((Jump("a" * MAX_TEXT, 0, 1),)),
        "this plan prints as more than 10,000 characters: use ranges and repeats",
    ),
    (lambda: Blocks(-1, 3), "first is negative: blocks and layers are counted from 0"),
    (lambda: Blocks(0, True), "last must be a whole number, not True"),
    (lambda: Blocks(0, 1.0), "last must be a whole number, not 1.0"),  # type: ignore[arg-type]
    (lambda: Blocks(10**9, 10**9), "first is too large: a number has at most 9 digits"),
    (lambda: Blocks(0, 0, "mlp"), "'mlp' is not a part of a block: the parts are attn, ffn, ln"),
    (lambda: Blocks(0, 0, times=0), "x0 would run nothing: a count is at least 1; to run nothing, leave the stage out"),
    (lambda: Blocks(4, 7, times=2), "x repeats a single block only: for this range write (4-7)x2"),
    (lambda: Jump("Mat", 0, 1), f"'Mat' {CAST}"),
    (lambda: Jump("mat\n", 0, 1), f"'mat\\n' {CAST}"),
    (lambda: Jump("mat", 3, 3), "a jump goes up: 3 is not above 3; put the higher layer last, as in mat(4>12)"),
    (lambda: Group(()), "a group needs at least one stage, as in (4-7)x2"),
    (lambda: Parallel(()), "a parallel stage needs at least one branch, as in [4|6]"),
    (lambda: Parallel((Parallel((Blocks(0, 0),)),)), BRANCH),  # type: ignore[arg-type]
    (
        lambda: Parallel((Blocks(0, 0),), "max"),  # type: ignore[arg-type]
        "combine is 'max': branches are joined by 'mean' or 'sum'",
    ),
]


@pytest.mark.parametrize(("make", "message"), VALUES)
def test_an_invalid_value_cannot_exist(make: Callable[[], object], message: str) -> None:
    assert str(refused(make)) == message


def test_nesting_is_bounded_in_values() -> None:
    def nested(levels: int) -> Blocks | Group:
        return Group((nested(levels - 1),)) if levels else Blocks(0, 0)

    assert nested(MAX_NESTING)
    assert str(refused(lambda: nested(MAX_NESTING + 1))) == DEEP


@pytest.mark.parametrize("value", [Blocks(0, 1), Jump("id", 0, 1), Group((Blocks(0, 1),)), Plan.full(2)])
def test_values_are_frozen_and_small(value: Stage | Plan) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, 2)
    assert not hasattr(value, "__dict__")
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301
