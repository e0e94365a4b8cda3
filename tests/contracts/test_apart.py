"""Every family: what is taken out of a recording of several texts is what each text has alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch
from torch import Tensor

import lens.models
from lens.execution import execute
from lens.models import Model, Recording, _apart, apart, likeness, separable
from lens.plans import Plan
from tests.conftest import TINY, _shaken
from tests.contracts.test_families import rows

CLOSE = 1e-5  # of the largest number, n = every family, eager and sdpa, padded on either side: measured 4e-6
NOT_TOGETHER = {"granitemoe"}  # rounding may choose another expert
SHORT = likeness(1)


@pytest.fixture(autouse=True)
def _nothing_tried_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_apart, "_tried", WeakKeyDictionary())


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=CLOSE * float(other.abs().max()))


def same_calls(one: Recording, other: Recording) -> None:
    """To the last bit, and as many."""
    assert len(one.calls) == len(other.calls) == one.model.n_blocks
    for mine, alone in zip(one.calls, other.calls, strict=True):
        assert (mine.module, mine.place) == (alone.module, alone.place)
        same_values(mine.args, alone.args)
        same_values(dict(mine.kwargs), dict(alone.kwargs))


def same_values(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        same_values(list(one.values()), list(other.values()))
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for mine, alone in zip(one, other, strict=True):
            same_values(mine, alone)
    else:
        assert one == other


@pytest.mark.parametrize("padding", ["left", "right"])
def test_each_text_is_what_it_is_alone(
    case_and_attention: tuple[str, str], tiny: Callable[..., Model], padding: Any
) -> None:
    model, plan = tiny(*case_and_attention), Plan.parse("3-0 [1|2] 1x2")
    for own, text in zip(apart(model.record(rows(), padding=padding)), rows(), strict=True):
        alone = model.record(text)
        same_values((own.ids, own.attention_mask), (alone.ids, alone.attention_mask))
        same_calls(own, model.record(text, head=False))
        for mine, expected in zip((*own.streams, own.logits), (*alone.streams, alone.logits), strict=True):
            close(mine, expected)
        close(execute(own, plan)[-1], execute(alone, plan)[-1])


def test_a_text_holds_on_to_nothing_of_the_others(case: str, tiny: Callable[..., Model]) -> None:
    """Each vector lies in memory of its own, and no side input is larger than the text."""
    for own in apart(tiny(case).record(rows())):
        for tensor in (own.ids, own.attention_mask, *own.streams, own.logits):
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
            assert tensor.shape[:2] == (1, own.ids.shape[1])


def test_without_a_head_there_is_none(tiny: Callable[..., Model]) -> None:
    own = apart(tiny("llama").record(rows(), head=False))[1]
    assert own.head is None
    torch.testing.assert_close(own.logits, tiny("llama").record(rows()[1]).logits)


def test_it_is_tried_whether_a_model_can_be_read_so(case: str, tiny: Callable[..., Model]) -> None:
    for alike in (SHORT, SHORT + 1):
        assert separable(tiny(case), alike) is (case not in NOT_TOGETHER)


def test_what_is_alike() -> None:
    assert [likeness(length) for length in (1, 32, 33, 64, 65, 512)] == [5, 5, 6, 6, 7, 9]


def mixed(module: Any, _args: Any, output: Any) -> Any:
    """As a block would whose rows see each other."""
    stream = output[0] if isinstance(output, tuple) else output
    stream = stream + 1e-2 * stream.mean(0, keepdim=True) * (len(stream) > 1)
    return (stream, *output[1:]) if isinstance(output, tuple) else stream


def fails(module: Any, args: Any, _output: Any) -> None:
    if len(args[0]) > 1:
        raise RuntimeError("one at a time")


@pytest.mark.parametrize("wrong", [mixed, fails])
def test_rows_that_see_each_other_are_found_out(wrong: Any, build: Callable[..., Any]) -> None:
    model = lens.models.load(build("gpt2"))
    assert separable(model, SHORT)
    model.anatomy.blocks[1].register_forward_hook(wrong)
    assert separable(model, SHORT)  # once is enough
    assert not separable(model, SHORT + 1)


def test_blocks_that_hand_on_more_than_the_stream_are_found_out(build: Callable[..., Any]) -> None:
    """As where a side input of one block is what the block before it made: blocks that stand aside make nothing."""
    model = lens.models.load(build("gpt2", "eager"))
    made: list[int] = []
    first, second = model.anatomy.blocks[:2]
    model.hf.transformer.register_forward_pre_hook(lambda *_: made.clear())
    first.attn.register_forward_hook(lambda *_: made.append(1))

    def given(_module: Any, args: Any, kwargs: Any) -> Any:
        return args, kwargs if made else {**kwargs, "attention_mask": None}

    second.register_forward_pre_hook(given, with_kwargs=True)
    assert not separable(model, SHORT)


def test_positions_that_depend_on_the_longest_text_are_found_out() -> None:
    """Rotary tables that are others where anything is longer than 16 tokens."""
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, options, _ = TINY["llama"]
    factors = {"short_factor": [1.0] * 4, "long_factor": [8.0] * 4, "original_max_position_embeddings": 16}
    rope = {"rope_type": "longrope", "rope_theta": 10_000.0, **factors}
    config = AutoConfig.for_model(kind, **options, rope_parameters=rope)
    torch.manual_seed(0)
    model = lens.models.load(_shaken(AutoModelForCausalLM.from_config(config)).eval())
    assert not separable(model, SHORT)
    assert separable(model, SHORT + 1)  # all of them are longer


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_read_one_by_one(dtype: torch.dtype, build: Callable[..., Any]) -> None:
    assert separable(lens.models.load(build("gpt2")), SHORT)
    assert not separable(lens.models.load(build("gpt2").to(dtype)), SHORT)


def test_a_quantised_model_is_read_one_by_one(build: Callable[..., Any]) -> None:
    hf = build("llama")
    hf.is_quantized = True
    assert not separable(lens.models.load(hf), SHORT)
