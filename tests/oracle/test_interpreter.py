"""Plans against models really rebuilt, and against the formulas in plain torch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

import lens

TEXT = "It was a dark night, and nobody in the house could sleep."


@pytest.fixture(scope="module")
def demo() -> Any:
    return lens.load("demo")


def rebuilt(hf: Any, order: list[int], ids: torch.Tensor) -> torch.Tensor:
    """Logits of a GPT-2 whose ModuleList is really reordered, which that family carries out faithfully."""
    other = copy.deepcopy(hf)
    other.transformer.h = nn.ModuleList([copy.deepcopy(hf.transformer.h[block]) for block in order])
    other.config.n_layer = len(order)
    with torch.no_grad():
        return other(ids, use_cache=False).logits[0]


ORDERS = {
    "0-11": list(range(12)),
    "0-3 8-11": [0, 1, 2, 3, 8, 9, 10, 11],
    "0-3 7-4 8-11": [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11],
    "0-3 6x4 8-11": [0, 1, 2, 3, 6, 6, 6, 6, 8, 9, 10, 11],
    "0-3 (4-7)x2 8-11": [0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 8, 9, 10, 11],
    "0-3 id(4>8) 8-11": [0, 1, 2, 3, 8, 9, 10, 11],
    "0-3": [0, 1, 2, 3],
    "id(0>12)": [],
}


@pytest.mark.parametrize("plan", ORDERS)
def test_orders_equal_a_rebuilt_model(demo: Any, plan: str) -> None:
    ids = torch.tensor([demo.encode(TEXT).ids])
    result = lens.run(demo, TEXT, plan)
    torch.testing.assert_close(result.logits, rebuilt(demo.hf, ORDERS[plan], ids), rtol=0, atol=0)
    assert len(result.streams) == len(lens.Plan.parse(plan).stages) + 1


def embedded(hf: Any, ids: torch.Tensor) -> torch.Tensor:
    return hf.transformer.wte(ids) + hf.transformer.wpe(torch.arange(ids.shape[1]))


def block(hf: Any, number: int, stream: torch.Tensor) -> torch.Tensor:
    out = hf.transformer.h[number](stream)
    return out if torch.is_tensor(out) else out[0]


@pytest.mark.parametrize(
    ("plan", "formula"),
    [
        ("0 [4-7] 11", lambda f, h: sum(f(b, h) for b in (4, 5, 6, 7)) / 4),
        ("0 [4|6]+ 11", lambda f, h: f(4, h) + f(6, h) - h),
        ("0 [(4 5)|6] 11", lambda f, h: (f(5, f(4, h)) + f(6, h)) / 2),
    ],
)
@pytest.mark.parametrize("loops", [1, 3])
def test_parallel_stages_equal_their_formula(demo: Any, plan: str, formula: Any, loops: int) -> None:
    hf, ids = demo.hf, torch.tensor([demo.encode(TEXT).ids])
    with torch.no_grad():
        stream = block(hf, 0, embedded(hf, ids))
        for _ in range(loops):
            stream = formula(lambda number, h: block(hf, number, h), stream)
        expected = hf.lm_head(hf.transformer.ln_f(block(hf, 11, stream)))[0]
    looped = plan.replace("]+ ", f"]+x{loops} ").replace("] ", f"]x{loops} ")
    torch.testing.assert_close(lens.run(demo, TEXT, looped).logits, expected, rtol=1e-5, atol=1e-4)


def test_a_jump_is_a_matrix_product(demo: Any) -> None:
    result = lens.run(demo, TEXT, "0-3 mat(4>8) 8-11")
    maps = lens.Maps.load(demo.folder / "maps")
    matrix = maps.tensors("mat", 4, 8)["matrix"]
    torch.testing.assert_close(result.streams[2], result.streams[1] @ matrix.T)


def test_the_model_is_handed_back_as_it_was(demo: Any) -> None:
    hf = demo.hf
    before = {name: value.clone() for name, value in hf.state_dict().items()}
    config = hf.config.to_json_string()
    lens.run(demo, TEXT, "0-3 [4-7]x3 6x4 mat(8>11) 11")
    lens.run(demo, TEXT, "0-3 4~attn 5-11")
    with pytest.raises(lens.LensError, match="no cast called 'magic'"):
        lens.run(demo, TEXT, "0-3 4~attn magic(5>11) 11")
    assert all(torch.equal(value, before[name]) for name, value in hf.state_dict().items())
    assert hf.config.to_json_string() == config
    hooks = [h for m in hf.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())]
    assert hooks == []


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("0-12", "block 12 does not exist"),
        ("0-3 mat(4>13)", "13"),
        ("0-3 magic(4>12)", "There is no cast called 'magic'"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(demo: Any, plan: str, message: str) -> None:
    with pytest.raises(lens.LensError, match=message):
        lens.run(demo, TEXT, plan)
