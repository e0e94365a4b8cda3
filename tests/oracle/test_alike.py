"""Blocks side by side as one batched call, against the same blocks in turn; and blocks that only look alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lens.execution import execute
from lens.execution._alike import alike
from lens.models import Model, Recording, Tokens, load
from lens.plans import Plan

IDS = (5, 17, 80, 4, 33, 9, 11)
TOGETHER = {"0 [1|2] 3": (1, 2), "[0-3]": (0, 1, 2, 3), "0 [3|1]x2": (3, 1), "0 [1|2]+ 3": (1, 2)}
IN_TURN = ["0 [2] 3", "0 [1|1] 3", "0 [1|2x2] 3", "0 [1|(2-3)] 3", "0 [1|2~attn] 3"]


def recorded(model: Model, length: int = len(IDS)) -> Recording:
    return model.record(Tokens("", IDS[:length], (), (), (), (), length))


def found(recording: Recording, plan: Plan) -> tuple[int, ...] | None:
    return alike(recording, next(stage for stage in plan.stages if hasattr(stage, "branches")), recording.streams[0])


def both_ways(recording: Recording, plan: Plan) -> tuple[torch.Tensor, torch.Tensor]:
    return execute(replace(recording, batched=True), plan)[-1], execute(recording, plan)[-1]


@pytest.mark.parametrize("case", ["gpt2", "llama", "opt", "bert"])
@pytest.mark.parametrize("plan", TOGETHER)
def test_one_call_computes_what_the_blocks_do_in_turn(tiny: Callable[..., Any], case: str, plan: str) -> None:
    recording, parsed = recorded(tiny(case)), Plan.parse(plan, 4)
    assert found(recording, parsed) == TOGETHER[plan]
    together, turn = both_ways(recording, parsed)
    torch.testing.assert_close(together, turn, rtol=1e-4, atol=1e-5 * float(turn.abs().max()))


@pytest.mark.parametrize("plan", IN_TURN)
def test_what_is_more_than_a_true_block_runs_in_turn(tiny: Callable[..., Any], plan: str) -> None:
    assert found(recorded(tiny("gpt2")), Plan.parse(plan, 4)) is None


@pytest.mark.parametrize("case", ["qwen3", "gemma2", "mistral"])
def test_blocks_with_other_masks_run_in_turn(tiny: Callable[..., Any], case: str) -> None:
    recording = recorded(tiny(case))
    all_windows = case == "mistral"
    assert found(recording, Plan.parse("0 [1|2] 3", 4)) == ((1, 2) if all_windows else None)
    assert found(recording, Plan.parse("0 [1|3]", 4)) == (1, 3)


def test_shared_weights_run_in_turn(tiny: Callable[..., Any]) -> None:
    assert found(recorded(tiny("albert")), Plan.parse("0 [1|2] 3", 4)) is None


def test_blocks_that_know_their_number_run_in_turn() -> None:
    """GPT-2 as Mistral trained it divides attention by the block's number, which is among no weights."""
    size = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64, "vocab_size": 96}
    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt2", **size, scale_attn_by_inverse_layer_idx=True)
    hf = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    recording, plan = recorded(load(hf)), Plan.parse("0 [1|2] 3", 4)
    assert found(recording, plan) is None
    together, turn = both_ways(recording, plan)
    assert torch.equal(together, turn)


def test_blocks_of_which_one_knows_positions_run_in_turn(tiny: Callable[..., Any]) -> None:
    """Command R7B turns keys by their positions in blocks with a window only; a short text's masks do not tell."""
    recording, plan = recorded(tiny("cohere2"), 3), Plan.parse("0 1 [2|3]", 4)
    assert found(recording, plan) is None
    together, turn = both_ways(recording, plan)
    assert torch.equal(together, turn)
