"""Every family: streams that go on through the blocks together come out as they do one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch
from torch import Tensor

from lens.execution import _onward, execute, onward
from lens.models import Model, Recording, load
from lens.plans import Plan
from tests.contracts.test_families import tokens

# whose blocks shape what depends on the text by the size of the batch; Falcon does so without a word where there are as
# many streams as positions
ONE_BY_ONE = {("bloom", "eager"), ("falcon-alibi", "eager")}


@pytest.fixture(autouse=True)
def _nothing_proven_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_onward, "_proofs", WeakKeyDictionary())


def proofs(model: Model) -> list[bool]:
    return list(_onward._proofs[model].values())


def one_by_one(recording: Recording, plan: Plan, streams: list[Tensor]) -> list[Tensor]:
    return [execute(recording, plan, stream=stream)[-1] for stream in streams]


@contextmanager
def altered(model: Model, block: int, change: Callable[[Tensor], None]) -> Iterator[None]:
    """While this lasts, `change` does something to the stream (B, T, d) that a block gives."""

    def later(_module: Any, _args: Any, output: Any) -> Any:
        stream = (output[0] if isinstance(output, tuple) else output).clone()
        change(stream)
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    hook = model.anatomy.blocks[block].register_forward_hook(later)
    try:
        yield
    finally:
        hook.remove()


@pytest.mark.parametrize("length", [1, 5, 9])
def test_together_is_one_by_one(case_and_attention: tuple[str, str], tiny: Callable[..., Model], length: int) -> None:
    model, plan = tiny(*case_and_attention), Plan.parse("2-3")
    recording = model.record(tokens(length))
    streams = [recording.streams[2], *(torch.randn_like(recording.streams[2]) for _ in range(4))]
    found, alone = onward(recording, plan, streams), one_by_one(recording, plan, streams)
    torch.testing.assert_close(torch.cat(found), torch.cat(alone), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[0], recording.streams[-1], rtol=1e-4, atol=1e-4)
    assert proofs(model) == [case_and_attention not in ONE_BY_ONE]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_blocks_that_treat_a_batch_otherwise_are_found_out(build: Callable[..., Any], dtype: torch.dtype) -> None:
    """As blocks would whose mask, made for one text, reached only the first of a batch."""
    model, plan = load(build("gpt2").to(dtype)), Plan.parse("3")
    recording = model.record(tokens(9))
    streams = [torch.randn_like(recording.streams[3]) for _ in range(3)]
    alone = one_by_one(recording, plan, streams)
    for share in (1.0, 1.2):
        with altered(model, 3, lambda stream, share=share: stream[1:].mul_(share)):  # type: ignore[misc]
            found = onward(recording, plan, streams)
        torch.testing.assert_close(torch.cat(found), torch.cat(alone))
        assert proofs(model) == [share == 1.0]
        _onward._proofs.clear()


@pytest.mark.parametrize(
    ("plan", "positions", "number"),
    [("3", 9, 3), ("2-3", 4, 3), ("2-3", 9, 2)],
    ids=["other blocks", "a shorter text", "fewer streams"],
)
def test_what_one_batch_proves_is_said_of_no_other(
    tiny: Callable[..., Model], plan: str, positions: int, number: int
) -> None:
    """As a block would that attends in another way from some length on, or takes the batch's size for another's."""
    model = tiny("gpt2")

    def mixed_up(stream: Tensor) -> None:
        if stream.shape[:2] == (3, 9):
            stream[1:] *= 1.5

    with altered(model, 2, mixed_up):
        for text, length, count in ((plan, positions, number), ("2-3", 9, 3)):
            parsed, recording = Plan.parse(text), model.record(tokens(length))
            streams = [torch.randn_like(recording.streams[2]) for _ in range(count)]
            found, alone = onward(recording, parsed, streams), one_by_one(recording, parsed, streams)
            torch.testing.assert_close(torch.cat(found), torch.cat(alone))
    assert proofs(model) == [True, False]


def test_a_coordinate_of_thousands_hides_nothing(tiny: Callable[..., Model]) -> None:
    """Real models hold such at the first position, beside which a fault at all others is small."""
    model, plan = tiny("gpt2"), Plan.parse("3")
    recording = model.record(tokens(9))
    streams = [torch.randn_like(recording.streams[3]) for _ in range(3)]
    for stream in streams:
        stream[0, 0, 0] = 1e6
    alone = one_by_one(recording, plan, streams)
    with altered(model, 3, lambda stream: stream[1:, 1:].mul_(1.5)):
        found = onward(recording, plan, streams)
    torch.testing.assert_close(torch.cat(found), torch.cat(alone))


def test_streams_that_are_no_numbers_go_one_by_one(build: Callable[..., Any]) -> None:
    """They prove nothing of a batch."""
    hf = build("gpt2")
    model, plan = load(hf), Plan.parse("2-3")
    recording = model.record(tokens(9))
    with torch.no_grad():
        hf.transformer.h[3].mlp.c_proj.bias[0] = torch.nan
    streams = [torch.randn_like(recording.streams[2]) for _ in range(3)]
    found, alone = onward(recording, plan, streams), one_by_one(recording, plan, streams)
    torch.testing.assert_close(torch.cat(found), torch.cat(alone), equal_nan=True)
    assert proofs(model) == [False]


@pytest.mark.parametrize(
    ("vectors", "batches"),
    [
        (20, [2, 1, 2, 1]),  # the first batch, its last alone to compare with, and the rest
        (8, [1, 1, 1, 1, 1]),
    ],
)
def test_a_long_text_goes_in_smaller_batches(
    tiny: Callable[..., Model], monkeypatch: pytest.MonkeyPatch, vectors: int, batches: list[int]
) -> None:
    monkeypatch.setattr(_onward, "VECTORS", vectors)
    model, plan = tiny("gpt2"), Plan.parse("2 3")
    recording, seen = model.record(tokens(9)), []
    hook = model.anatomy.blocks[2].register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    try:
        onward(recording, plan, [recording.streams[2]] * 5)
    finally:
        hook.remove()
    assert seen == batches
    (alone,) = onward(recording, plan, [recording.streams[2]])
    assert torch.equal(alone, recording.streams[-1])
