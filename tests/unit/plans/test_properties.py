"""Properties of all plans, and of all text."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from lens.errors import PlanError
from lens.plans import Blocks, Group, Jump, Parallel, Plan, Stage

thorough = settings(max_examples=100, deadline=None, derandomize=True, database=None)

numbers = st.integers(0, 13)
times = st.integers(1, 3)
parts = st.sampled_from([None, "attn", "ffn", "ln"])
jumps = st.builds(
    lambda cast, source, rise: Jump(cast, source, source + rise),
    st.sampled_from(["id", "mat", "x4", "low_rank"]),
    numbers,
    st.integers(1, 5),
)
blocks = st.one_of(
    st.builds(Blocks, numbers, numbers, parts),
    st.builds(lambda block, part, count: Blocks(block, block, part, count), numbers, parts, times),
)


def groups(depth: int) -> st.SearchStrategy[Group]:
    return st.builds(Group, st.lists(stages(depth - 1), min_size=1, max_size=3).map(tuple), times)


def parallels(depth: int) -> st.SearchStrategy[Parallel]:
    branch = st.one_of(blocks, jumps, groups(depth - 1)) if depth > 1 else st.one_of(blocks, jumps)
    items = st.lists(branch, min_size=1, max_size=3).map(tuple)
    scales = st.integers(1, 10**7).map(lambda number: number / 10**4)
    return st.one_of(
        st.builds(Parallel, items, st.sampled_from(["mean", "sum"]), times),
        st.builds(lambda given, count, scale: Parallel(given, "mean", count, scale), items, times, scales),
    )


def stages(depth: int) -> st.SearchStrategy[Stage]:
    return st.one_of(blocks, jumps, groups(depth), parallels(depth)) if depth else st.one_of(blocks, jumps)


# at most 3 × (3 × 3) × (3 × 3) × 14 = 3,402 steps, below the bound
plans = st.builds(Plan, st.lists(stages(2), min_size=1, max_size=3).map(tuple))


# every character there is, surrogates too, without the slow table of categories behind st.text()
any_text = st.lists(st.integers(0, 0x7F) | st.integers(0, 0x10FFFF), max_size=40).map(
    lambda codes: "".join(map(chr, codes))
)


def outcome(make: Callable[[], Plan]) -> Plan | PlanError:
    """The plan, or why there is none; any other exception fails the test."""
    try:
        return make()
    except PlanError as error:
        return error


def run_blocks(stage: Stage) -> list[int]:
    """The numbers of the blocks that run, one by one: the slow and plain way."""
    ran: list[int] = []
    for _ in range(getattr(stage, "times", 1)):
        if isinstance(stage, Blocks):
            block = stage.first
            ran.append(block)
            while block != stage.last:
                block += 1 if stage.last > block else -1
                ran.append(block)
        elif not isinstance(stage, Jump):
            for inner in stage.stages if isinstance(stage, Group) else stage.items:
                ran.extend(run_blocks(inner))
    return ran


def deepen(stage: Stage, depth: int) -> int:
    """The depth of a stream of `depth` after the stage, run one block at a time."""
    for _ in range(getattr(stage, "times", 1)):
        if isinstance(stage, Blocks):
            depth += len(run_blocks(Blocks(stage.first, stage.last)))
        elif isinstance(stage, Group):
            for inner in stage.stages:
                depth = deepen(inner, depth)
        elif isinstance(stage, Parallel):
            depth = max(depth + 1 if spread(item) else deepen(item, depth) for item in stage.items)
    return depth


def spread(item: Stage) -> bool:
    return isinstance(item, Blocks) and item.first != item.last


@thorough
@given(plans)
def test_text_and_json_read_back(plan: Plan) -> None:
    assert Plan.parse(str(plan)) == plan
    assert Plan.from_json(plan.to_json()) == plan
    assert hash(Plan.parse(str(plan))) == hash(plan)


@thorough
@given(plans)
def test_counts_agree_with_running_every_block(plan: Plan) -> None:
    ran = [block for stage in plan.stages for block in run_blocks(stage)]
    assert plan.applications == len(ran)
    depth = 0
    for stage in plan.stages:
        depth = deepen(stage, depth)
    assert plan.depth == depth


@thorough
@given(plans, st.integers(1, 20))
def test_check_refuses_exactly_what_does_not_exist(plan: Plan, n_blocks: int) -> None:
    ran = [block for stage in plan.stages for block in run_blocks(stage)]
    layers = [stage.target for stage in plan.walk() if isinstance(stage, Jump)]
    fits = max(ran, default=0) < n_blocks and max(layers, default=0) <= n_blocks
    result = outcome(lambda: plan.check(n_blocks))
    assert fits == (result is plan)
    if isinstance(result, PlanError):
        assert int(result.text[result.start : result.end]) >= n_blocks


@thorough
@given(plans, st.randoms(use_true_random=False))
def test_pasted_signs_and_loose_spaces_change_nothing(plan: Plan, choice: random.Random) -> None:
    signs = {
        "-": "-–−",
        "x": "x×",
        ">": [">", "→", " > "],
        " ": [" ", "  ", "\n", "\t "],
        "|": ["|", " | "],
        "[": ["[", "[ "],
    }
    text = "".join(choice.choice(signs.get(sign, sign)) for sign in str(plan))
    assert Plan.parse(f" {text} ") == plan


def parses_or_points(text: str) -> None:
    result = outcome(lambda: Plan.parse(text, n_blocks=12))
    if isinstance(result, Plan):
        assert Plan.parse(str(result), n_blocks=12) == result
        assert len(str(result)) <= len(text)
    else:
        assert len(result.text) == len(text)
        assert 0 <= result.start <= len(text)
        assert result.start < result.end <= max(len(text), result.start + 1)


@thorough
@given(any_text)
def test_any_text_parses_or_points(text: str) -> None:
    parses_or_points(text)


@thorough
@given(st.text("0123456789-x~()[]|+> ,atnfmidl×→–", max_size=40))
def test_any_text_of_plan_signs_parses_or_points(text: str) -> None:
    parses_or_points(text)


damages = st.lists(
    st.tuples(st.integers(0, 400), st.booleans(), st.sampled_from(["", *'0139-x~()[]|+> ,am{}:".'])),
    min_size=1,
    max_size=4,
)


def damaged(text: str, damage: list[tuple[int, bool, str]]) -> str:
    """The text with signs put in, or put in place of others."""
    for place, replace, sign in damage:
        cut = place % (len(text) + 1)
        text = text[:cut] + sign + text[cut + replace :]
    return text


@thorough
@given(plans, damages)
def test_a_damaged_plan_parses_or_points(plan: Plan, damage: list[tuple[int, bool, str]]) -> None:
    parses_or_points(damaged(str(plan), damage))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["blocks", "jump", "group", "parallel", "mat"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "stages", "items", "first", "last", "times", "part", "cast", "other"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@thorough
@given(
    any_text
    | json_values.map(lambda value: json.dumps({"stages": [value]}))
    | st.builds(lambda plan, damage: damaged(plan.to_json(), damage), plans, damages)
)
def test_any_json_reads_or_is_refused(text: str) -> None:
    result = outcome(lambda: Plan.from_json(text))
    if isinstance(result, Plan):
        assert Plan.from_json(result.to_json()) == result
    else:
        assert 0 <= result.start <= len(result.text)


@thorough
@given(plans)
def test_what_is_said_shorter_or_taken_apart_runs_the_same(plan: Plan) -> None:
    assert Plan(plan.flat).flat == plan.flat
    assert plan.compact.flat == plan.flat
    ran = [block for stage in plan.stages for block in run_blocks(stage)]
    assert [block for stage in plan.flat for block in run_blocks(stage)] == ran
    assert plan.compact.applications == plan.applications
