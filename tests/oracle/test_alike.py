"""Blocks side by side as one batched call, against the same blocks in turn; and blocks that only look alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lens.execution import _alike, execute
from lens.execution._alike import KEPT, alike, faster, together
from lens.models import Model, Recording, Tokens, load
from lens.plans import Plan
from tests.conftest import scaled_by_number

IDS = (5, 17, 80, 4, 33, 9, 11)
TOGETHER = {"0 [1|2] 3": (1, 2), "[0-3]": (0, 1, 2, 3), "0 [3|1]x2": (3, 1), "0 [1|2]+ 3": (1, 2)}
IN_TURN = ["0 [2] 3", "0 [1|1] 3", "0 [1|2x2] 3", "0 [1|(2-3)] 3", "0 [1|2~attn] 3"]


def recorded(model: Model, length: int = len(IDS)) -> Recording:
    return model.record(Tokens("", IDS[:length], (), (), (), (), length))


def found(recording: Recording, plan: Plan) -> tuple[int, ...] | None:
    return alike(recording, next(stage for stage in plan.stages if hasattr(stage, "branches")), recording.streams[0])


def both_ways(recording: Recording, plan: Plan) -> tuple[Tensor, Tensor]:
    return execute(replace(recording, batched=True), plan)[-1], execute(recording, plan)[-1]


@pytest.mark.parametrize("case", ["gpt2", "llama", "opt", "bert"])
@pytest.mark.parametrize("plan", TOGETHER)
def test_one_call_computes_what_the_blocks_do_in_turn(tiny: Callable[..., Any], case: str, plan: str) -> None:
    recording, parsed = recorded(tiny(case)), Plan.parse(plan, 4)
    assert found(recording, parsed) == TOGETHER[plan]
    at_once, turn = both_ways(recording, parsed)
    torch.testing.assert_close(at_once, turn, rtol=1e-4, atol=1e-5 * float(turn.abs().max()))


@pytest.mark.parametrize("plan", IN_TURN)
def test_what_is_more_than_a_true_block_runs_in_turn(tiny: Callable[..., Any], plan: str) -> None:
    assert found(recorded(tiny("gpt2")), Plan.parse(plan, 4)) is None


@pytest.mark.parametrize("case", ["qwen3", "gemma2", "mistral"])
@pytest.mark.parametrize("proven", [False, True])
def test_blocks_with_other_masks_run_in_turn(
    tiny: Callable[..., Any], case: str, proven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof is kept for texts of one length, whose masks may differ by padding: masks are compared each time."""
    if proven:
        monkeypatch.setattr(_alike, "_proven", lambda *_: True)
    recording = recorded(tiny(case))
    all_windows = case == "mistral"
    assert found(recording, Plan.parse("0 [1|2] 3", 4)) == ((1, 2) if all_windows else None)
    assert found(recording, Plan.parse("0 [1|3]", 4)) == (1, 3)


def test_shared_weights_run_in_turn(tiny: Callable[..., Any]) -> None:
    assert found(recorded(tiny("albert")), Plan.parse("0 [1|2] 3", 4)) is None


def test_blocks_that_know_their_number_run_in_turn() -> None:
    """GPT-2 as Mistral trained it divides attention by the block's number, which is among no weights."""
    recording, plan = recorded(load(scaled_by_number())), Plan.parse("0 [1|2] 3", 4)
    assert found(recording, plan) is None
    at_once, turn = both_ways(recording, plan)
    assert torch.equal(at_once, turn)


def test_blocks_of_which_one_knows_positions_run_in_turn(tiny: Callable[..., Any]) -> None:
    """Command R7B turns keys by their positions in blocks with a window only; a short text's masks do not tell."""
    recording, plan = recorded(tiny("cohere2"), 3), Plan.parse("0 1 [2|3]", 4)
    assert found(recording, plan) is None
    at_once, turn = both_ways(recording, plan)
    assert torch.equal(at_once, turn)


def test_the_last_digit_tells_blocks_apart_but_nan_does_not(build: Callable[..., Any]) -> None:
    plan = Plan.parse("0 [1|2] 3", 4)
    other, broken = build("gpt2"), build("gpt2")
    other.transformer.h[2].ln_1.eps *= 1.5
    at_once, turn = both_ways(recorded(load(other)), plan)
    assert found(recorded(load(other)), plan) is None
    assert torch.equal(at_once, turn)
    recording = recorded(load(broken))
    with torch.no_grad():
        broken.transformer.h[2].mlp.c_proj.bias[0] = torch.nan
    assert found(recording, plan) == (1, 2)


def test_side_inputs_are_compared_by_their_values() -> None:
    mask, other = torch.tensor([True, False]), torch.tensor([True, True])
    alike_ones = [(mask, mask.clone()), (None, None), (1.5, 1.5), ("x", "x"), ((mask, None), [mask.clone(), None])]
    for one, same in alike_ones:
        assert _alike._same(one, same)
    unlike = [(mask, other), (mask, mask[:1]), (mask, None), (1, 2), ((mask,), (mask, mask)), ((mask,), (other,))]
    for one, changed in [*unlike, (object(), object()), ((mask, mask), (mask,))]:
        assert not _alike._same(one, changed)


def test_a_race_is_run_once_for_a_size(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    recording, times = recorded(load(build("gpt2"))), iter([2.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 2.0])
    monkeypatch.setattr(_alike, "_seconds", lambda *_: next(times))
    stream = recording.streams[0]
    assert not faster(recording, (1, 2), stream)
    assert not faster(recording, (1, 2), stream)
    assert faster(recording, (1, 2), stream[:, :3])
    assert not faster(recording, (0, 1), stream)  # as quick is not quicker
    assert faster(recording, (1, 2), stream.repeat(2, 1, 1))  # as many positions, of two texts
    assert next(times, None) is None


def test_the_least_of_three_counts_and_the_first_does_not(
    tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.5, 10.0, 13.0, 20.0, 21.0, 30.0, 32.0])
    monkeypatch.setattr(_alike.time, "perf_counter", lambda: next(clock))
    assert _alike._seconds(recorded(tiny("gpt2")), lambda: None) == 1.0
    assert next(clock, None) is None


def test_a_model_keeps_two_stacks_of_weights(build: Callable[..., Any]) -> None:
    recording = recorded(load(build("gpt2")))
    for blocks in ((0, 1), (1, 2), (2, 3), (1, 2)):
        together(recording, blocks, recording.streams[0])
    assert list(_alike._stacks[recording.model]) == [(1, 2), (2, 3)]
    assert KEPT == 2
