"""Recipes where their parameters end, and alternations against every path there is."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from lens.errors import PlanError
from lens.plans import Blocks, Jump, Plan, best_alternation, even_alternation, recipe, recipes

SKIP = "skip"  # leaves the window out, and so shows it


def ran(plan: Plan) -> list[int]:
    return [block for stage in plan.stages if isinstance(stage, Blocks) for block in stage.blocks]


def test_every_path_of_the_recipes_is_tried_on_one_that_is_there() -> None:
    assert SKIP in recipes()


@pytest.mark.parametrize("n_blocks", [2, 3, 12, 13])
def test_the_window_by_n_is_the_papers(n_blocks: int) -> None:
    """N + 1 … T − N − 1, of T blocks; without a word, N is a quarter."""
    for n in range((n_blocks - 2) // 2 + 1):
        left = [*range(n + 1), *range(n_blocks - n, n_blocks)]
        assert ran(recipe(SKIP, n_blocks, n=n)) == left
        assert recipe(SKIP, n_blocks, start=n + 1, stop=n_blocks - n) == recipe(SKIP, n_blocks, n=n)
    assert recipe(SKIP, n_blocks) == recipe(SKIP, n_blocks, n=(n_blocks - 1) // 4)


def test_the_window_may_touch_either_end_but_not_be_all() -> None:
    assert ran(recipe(SKIP, 6, start=0, stop=5)) == [5]
    assert ran(recipe(SKIP, 6, start=1, stop=6)) == [0]
    assert ran(recipe(SKIP, 6, start=2)) == [0, 1, 5]  # the end of the default window stands
    with pytest.raises(PlanError) as refused:
        recipe(SKIP, 6, start=0, stop=6)
    assert str(refused.value) == "nothing would run: leave at least one block out of the window"


WINDOW = "give whole numbers with 0 ≤ start < stop ≤ 6; it holds the blocks from start to stop − 1"
REFUSED = [
    (6, {"n": 3}, "n is 3: for 6 blocks give a whole number from 0 to 2"),
    (6, {"n": -1}, "n is -1: for 6 blocks give a whole number from 0 to 2"),
    (6, {"n": True}, "n is True: for 6 blocks give a whole number from 0 to 2"),
    (1, {"n": 0}, "a model of one block has no middle: give start and stop"),
    (6, {"n": 1, "start": 2}, "give n, or start and stop, not both"),
    (6, {"n": 1, "stop": 2}, "give n, or start and stop, not both"),
    (6, {"start": -1, "stop": 3}, f"the window is -1 to 3: {WINDOW}"),
    (6, {"start": 3, "stop": 3}, f"the window is 3 to 3: {WINDOW}"),
    (6, {"start": 3, "stop": 7}, f"the window is 3 to 7: {WINDOW}"),
    (6, {"start": "3", "stop": 5}, f"the window is '3' to 5: {WINDOW}"),
    (6, {"start": 3, "stop": 5.0}, f"the window is 3 to 5.0: {WINDOW}"),
    (0, {}, "a model has at least one block, not 0"),
    (True, {}, "a model has at least one block, not True"),
    (6, {"what": 1, "else_": 2}, f"{SKIP} takes no else_, what: it takes n, or start and stop"),
]


@pytest.mark.parametrize(("n_blocks", "given", "said"), REFUSED)
def test_what_does_not_fit_is_said_word_by_word(n_blocks: int, given: dict[str, int], said: str) -> None:
    with pytest.raises(PlanError) as refused:
        recipe(SKIP, n_blocks, **given)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("skip one", {"block": 12}, "block is 12: give a whole number from 0 to 11"),
        ("skip one", {"block": -1}, "block is -1: give a whole number from 0 to 11"),
        ("skip one", {"block": 1.0}, "block is 1.0: give a whole number from 0 to 11"),
        ("repeat", {"times": 0}, "times is 0: give a whole number from 1"),
        ("random", {"seed": True}, "seed is True: give a whole number from 0"),
        ("parallel", {"combine": "max"}, "combine is 'max': give mean or sum"),
        ("linear", {"part": 1}, "part is 1: give attn or ffn or ln"),
        ("jump", {"cast": 1}, "cast is 1: give a name"),
        ("skip one", {"n": 1}, "skip one takes no n: it takes block"),
        ("repeat", {"k": 1}, "repeat takes no k: it takes n, or start and stop, times"),
    ],
)
def test_a_parameter_that_does_not_fit_is_said_word_by_word(name: str, given: dict[str, int], said: str) -> None:
    with pytest.raises(PlanError) as refused:
        recipe(name, 12, **given)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("name", "given"), [("skip one", {"block": 11}), ("repeat", {"times": 1}), ("random", {"seed": 0})]
)
def test_a_parameter_may_be_the_last_that_fits(name: str, given: dict[str, int]) -> None:
    assert recipe(name, 12, **given).applications in (11, 12)


def test_a_model_of_one_block_has_a_window_if_it_is_given() -> None:
    assert ran(recipe("reverse", 1, start=0, stop=1)) == [0]
    for given in ({}, {"start": 0}, {"stop": 1}):
        with pytest.raises(PlanError, match="a model of one block has no middle: give start and stop"):
            recipe("reverse", 1, **given)


def test_a_recipe_that_is_none_is_told_which_there_are() -> None:
    with pytest.raises(PlanError) as refused:
        recipe("nothing", 12)
    assert str(refused.value) == f"there is no recipe 'nothing'; the recipes are {', '.join(recipes())}"


@pytest.mark.parametrize(("n_blocks", "true"), [(1, 0), (1, 1), (4, 0), (4, 4), (6, 2), (6, 5), (12, 5)])
def test_an_even_alternation_runs_so_many_blocks_with_gaps_as_alike_as_can_be(n_blocks: int, true: int) -> None:
    plan = even_alternation(n_blocks, true, "id")
    blocks = ran(plan)
    assert len(blocks) == true
    gaps = [after - before for before, after in itertools.pairwise([-1, *blocks])] if blocks else [0]
    assert max(gaps) - min(gaps) <= 1
    assert not blocks or blocks[-1] == n_blocks - 1
    follows(plan, n_blocks)


def follows(plan: Plan, n_blocks: int) -> None:
    """Each stage goes on from the layer at which the one before it ends, and no two of a kind are neighbours."""
    at = 0
    for stage in plan.stages:
        assert isinstance(stage, (Blocks, Jump))
        start, end = (stage.first, stage.last + 1) if isinstance(stage, Blocks) else (stage.source, stage.target)
        assert start == at
        at = end
    assert at == n_blocks
    assert all(type(one) is not type(other) for one, other in itertools.pairwise(plan.stages))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("true", range(6))
def test_the_best_alternation_is_the_best_of_all(seed: int, true: int) -> None:
    n_blocks, chance = 5, random.Random(seed)  # noqa: S311 - chance, not a secret
    pairs = list(itertools.combinations(range(n_blocks + 1), 2))
    weights = {pair: chance.uniform(-2, 1) for pair in pairs if chance.random() < 0.8 or pair[1] - pair[0] == 1}
    found = best_alternation(n_blocks, true, "mat", weights)
    follows(found, n_blocks)
    assert len(ran(found)) == true
    assert gain(found, weights) == pytest.approx(max(gains(n_blocks, true, weights)))


def gain(plan: Plan, weights: dict[tuple[int, int], float]) -> float:
    return sum(weights.get((s.source, s.target), -math.inf) for s in plan.stages if isinstance(s, Jump))


def gains(n_blocks: int, true: int, weights: dict[tuple[int, int], float]) -> list[float]:
    """Of every choice of true blocks: each run of blocks left out is one jump."""
    found = []
    for chosen in itertools.combinations(range(n_blocks), true):
        edges = [-1, *chosen, n_blocks]
        jumps = [(before + 1, after) for before, after in itertools.pairwise(edges) if after > before + 1]
        found.append(sum(weights.get(jump, -math.inf) for jump in jumps))
    return found


@pytest.mark.parametrize("true", [-1, 5])
def test_more_blocks_than_there_are_cannot_run(true: int) -> None:
    for make in (even_alternation, lambda *given: best_alternation(*given, {})):
        with pytest.raises(PlanError) as refused:
            make(4, true, "id")
        assert str(refused.value) == f"{true} of 4 blocks cannot run: choose 0 to 4"
