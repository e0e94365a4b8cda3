"""Every family: streams that go on through the blocks together come out as they do one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch

from lens.execution import _onward, execute, onward
from lens.models import Model
from lens.plans import Plan
from tests.contracts.test_families import tokens

ONE_BY_ONE = {"bloom"}  # whose blocks shape what depends on the text by the size of the batch


@pytest.fixture(autouse=True)
def _nothing_tried_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onward, "_able", WeakKeyDictionary())


@pytest.mark.parametrize("length", [1, 9])
def test_together_is_one_by_one(case: str, tiny: Callable[..., Model], length: int) -> None:
    model, plan = tiny(case), Plan.parse("2-3")
    recording = model.record(tokens(length))
    streams = [recording.streams[2], *(torch.randn_like(recording.streams[2]) for _ in range(4))]
    alone = [execute(recording, plan, stream=stream)[-1] for stream in streams]
    found = onward(recording, plan, streams)
    torch.testing.assert_close(torch.cat(found), torch.cat(alone), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[0], recording.streams[-1], rtol=1e-4, atol=1e-4)
    assert _onward._able[model] is (case not in ONE_BY_ONE)


def test_blocks_that_treat_a_batch_otherwise_are_found_out(tiny: Callable[..., Model]) -> None:
    """As blocks would whose mask, made for one text, reached only the first of a batch."""
    model, plan = tiny("gpt2"), Plan.parse("3")
    recording = model.record(tokens(9))

    def later(_module: Any, _args: Any, output: Any) -> Any:
        stream = (output[0] if isinstance(output, tuple) else output).clone()
        stream[1:] *= 1.5
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    streams = [torch.randn_like(recording.streams[3]) for _ in range(3)]
    alone = [execute(recording, plan, stream=stream)[-1] for stream in streams]
    hook = model.anatomy.blocks[3].register_forward_hook(later)
    try:
        found = onward(recording, plan, streams)
    finally:
        hook.remove()
    torch.testing.assert_close(torch.cat(found), torch.cat(alone))
    assert _onward._able[model] is False


def test_a_long_text_goes_in_smaller_batches(tiny: Callable[..., Model], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onward, "VECTORS", 20)
    model, plan = tiny("gpt2"), Plan.parse("2-3")
    recording, seen = model.record(tokens(9)), []
    hook = model.anatomy.blocks[2].register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    try:
        onward(recording, plan, [recording.streams[2]] * 5)
    finally:
        hook.remove()
    assert seen == [2, 1, 2, 1]  # the first batch, its last alone to compare with, and the rest
