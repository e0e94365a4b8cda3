"""Plans on every family: the full plan is the model, and whatever a plan does the model is handed back as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lens.errors import MapsError
from lens.execution import execute
from lens.models import Model, Recording, Tokens
from lens.plans import Plan


@pytest.fixture
def model(case: str, tiny: Callable[..., Any]) -> Model:
    made: Model = tiny(case)
    return made


def recorded(model: Model, padding: Any = "right") -> Recording:
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randint(3, 96, (length,), generator=generator).tolist() for length in (9, 5)]
    return model.record([Tokens("", tuple(row), (), (), (), (), len(row)) for row in rows], padding=padding)


def state(model: Model) -> tuple[dict[str, torch.Tensor], str, int]:
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules())
    return {n: v.clone() for n, v in model.hf.state_dict().items()}, model.config.to_json_string(), hooks


@pytest.mark.parametrize("padding", ["left", "right"])
def test_the_full_plan_is_the_model(model: Model, padding: str) -> None:
    recording = recorded(model, padding)
    last = execute(recording, Plan.full(model.n_blocks))[-1]
    torch.testing.assert_close(model.unembed(last), recording.logits, rtol=0, atol=0, equal_nan=True)


def test_a_plan_leaves_the_model_as_it_was(model: Model) -> None:
    recording, last = recorded(model), model.n_blocks - 1
    before = state(model)
    execute(recording, Plan.parse(f"0 [1-{last}]x2 {last}-1 (0 {last})x2 [0|(1 0)]+"))
    with pytest.raises(MapsError, match="No maps are fitted"):
        execute(recording, Plan.parse(f"0 mat(1>{last})"))
    weights, config, hooks = state(model)
    assert (config, hooks) == before[1:]
    assert all(torch.equal(value, before[0][name]) for name, value in weights.items())
    torch.testing.assert_close(recorded(model).logits, recording.logits, rtol=0, atol=0, equal_nan=True)


def test_order_matters(model: Model) -> None:
    recording, last = recorded(model), model.n_blocks - 1
    backwards = execute(recording, Plan.parse(f"{last}-0"))[-1]
    mean = execute(recording, Plan.parse(f"0 [1-{last}]"))[-1]
    one_block = len({id(call.module) for call in recording.calls}) == 1  # ALBERT: any order of it is the same
    assert torch.equal(backwards, recording.streams[-1]) == one_block
    one = recording.run_block(0, recording.streams[0])
    expected = sum(recording.run_block(block, one) for block in range(1, last + 1)) / last
    torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-4, equal_nan=True)
