"""Blocks of a parallel stage that are alike, run as one batched call on their stacked weights."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from lens.models import Model, Replay
from lens.plans import Blocks, Parallel

__all__ = ["alike", "faster", "together"]

KEPT = 2  # stacks of weights a model keeps: each is a copy of its blocks

Stack = tuple[dict[str, Any], dict[str, Any]]
_races: WeakKeyDictionary[Model, dict[tuple[tuple[int, ...], int], bool]] = WeakKeyDictionary()
_proofs: WeakKeyDictionary[Model, dict[tuple[tuple[int, ...], tuple[int, ...]], bool]] = WeakKeyDictionary()
_stacks: WeakKeyDictionary[Model, dict[tuple[int, ...], Stack]] = WeakKeyDictionary()


def alike(recording: Replay, stage: Parallel, stream: Tensor) -> tuple[int, ...] | None:
    """The blocks of a stage if one batched call can run them: single, true, of one build, called with the same side
    inputs and without a cache, and proven on a stream of that size to differ by their weights alone. None otherwise.
    """
    single = [b for b in stage.branches if isinstance(b, Blocks) and b.part is None and b.times == 1]
    if len(single) < max(2, len(stage.branches)):
        return None
    blocks = tuple(branch.first for branch in single)
    first, *others = calls = [recording.calls[block] for block in blocks]
    same = all(
        type(call.module) is type(first.module)
        and call.place == first.place
        and call.kwargs.keys() == first.kwargs.keys()
        and _same(call.args, first.args)
        and all(_same(call.kwargs[name], first.kwargs[name]) for name in first.kwargs)
        and _shapes(call.module) == _shapes(first.module)
        for call in others
    )
    apart = len({id(call.module) for call in calls}) == len(calls)
    return blocks if same and apart and _proven(recording, blocks, stream) else None


def _proven(recording: Replay, blocks: tuple[int, ...], stream: Tensor) -> bool:
    """Whether the first block, on the weights of each other, computes what that one does to the last digit.

    One build is not enough: a block may know where it stands, as where attention is scaled by the block's number.
    """
    proofs = _proofs.setdefault(recording.model, {})
    size = blocks, tuple(stream.shape)
    if size not in proofs:
        with recording.model.lock, torch.no_grad():
            proofs[size] = all(_computes_as(recording, blocks[0], block, stream) for block in blocks[1:])
    return proofs[size]


def _computes_as(recording: Replay, first: int, block: int, stream: Tensor) -> bool:
    call, other = recording.calls[first], recording.calls[block]
    weights = {**dict(other.module.named_parameters()), **dict(other.module.named_buffers())}
    found = call(stream, lambda args, kwargs: functional_call(call.module, weights, args, dict(kwargs)))
    return torch.allclose(found, other(stream), rtol=0, atol=0, equal_nan=True)


def together(recording: Replay, blocks: tuple[int, ...], stream: Tensor) -> Tensor:
    """The outputs (M, batch, positions, width) of M alike blocks on one stream; as in turn, to rounding."""
    call = recording.calls[blocks[0]]

    def one(parameters: dict[str, Any], buffers: dict[str, Any], entered: Tensor) -> Tensor:
        return call(
            entered, lambda args, kwargs: functional_call(call.module, (parameters, buffers), args, dict(kwargs))
        )

    with recording.model.lock, torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")  # slower than it might be, still right
        parameters, buffers = _stacked(recording, blocks)
        found: Tensor = vmap(one, in_dims=(0, 0, None))(parameters, buffers, stream)
    return found


def faster(recording: Replay, blocks: tuple[int, ...], stream: Tensor) -> bool:
    """Whether one batched call takes less time here than the blocks in turn: raced once for each stage and size."""
    raced = _races.setdefault(recording.model, {})
    size = blocks, stream.shape[0] * stream.shape[1]
    if size not in raced:
        turn: Callable[[], Any] = lambda: [recording.run_block(block, stream) for block in blocks]  # noqa: E731
        raced[size] = _seconds(recording, lambda: together(recording, blocks, stream)) < _seconds(recording, turn)
    return raced[size]


def _seconds(recording: Replay, work: Callable[[], Any]) -> float:
    """The least of three, after one that is not counted."""
    found = []
    for _ in range(4):
        begin = time.perf_counter()
        work()
        recording.model.wait()
        found.append(time.perf_counter() - begin)
    return min(found[1:])


def _stacked(recording: Replay, blocks: tuple[int, ...]) -> Stack:
    kept = _stacks.setdefault(recording.model, {})
    if blocks not in kept:
        while len(kept) >= KEPT:
            kept.pop(next(iter(kept)))
        kept[blocks] = stack_module_state([recording.calls[block].module for block in blocks])
    return kept[blocks]


def _shapes(module: torch.nn.Module) -> Sequence[Any]:
    return [(name, tensor.shape) for name, tensor in module.named_parameters()]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one is other or (one.shape == other.shape and torch.equal(one, other))
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return one is other or (isinstance(one, (bool, int, float, str)) and one == other)
