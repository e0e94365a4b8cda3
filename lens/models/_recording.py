"""Record one plain forward, then carry out any block again with exactly what it was called with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lens.errors import ModelError
from lens.models._anatomy import Anatomy

if TYPE_CHECKING:
    from lens.models._model import Model

__all__ = ["Call", "Recording", "Run", "run", "stream_of"]


@dataclass(frozen=True)
class Call:
    """One call of a block: the module and its side inputs, with a gap where the stream goes."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    place: int | str  # of the stream: an index into args or a name in kwargs

    def __call__(self, stream: Tensor) -> Tensor:
        """The block's output (B, T, d) for another stream (B, T, d), all else as recorded."""
        if isinstance(self.place, int):
            args = (*self.args[: self.place], stream, *self.args[self.place + 1 :])
            return stream_of(self.module(*args, **self.kwargs)).to(stream.device)
        return stream_of(self.module(*self.args, **{**self.kwargs, self.place: stream})).to(stream.device)


@dataclass(frozen=True)
class Run:
    """A recorded forward: the calls of its L blocks, the stream at each of the L+1 boundaries, and the logits."""

    calls: tuple[Call, ...]
    streams: tuple[Tensor, ...]
    logits: Tensor


@dataclass(frozen=True)
class Recording:
    """One plain forward of the unmodified model over a batch."""

    model: Model
    ids: Tensor = field(repr=False)  # (B, T) int64
    attention_mask: Tensor = field(repr=False)  # (B, T) int64, 0 at padding
    streams: tuple[Tensor, ...] = field(repr=False)  # L+1 of (B, T, d): the stream at boundary 0 … L
    logits: Tensor = field(repr=False)  # (B, T, V), the model's own output
    calls: tuple[Call, ...] = field(repr=False)

    def run_block(self, block: int, stream: Tensor) -> Tensor:
        """Carry out one block, with the side inputs it was recorded with, on a stream (B, T, d)."""
        with self.model.lock, torch.no_grad():  # the lock: a recording on another thread must not see this call
            return self.calls[block](stream)


def stream_of(output: Any) -> Tensor:
    """The stream in a block's output, which is a tensor in some families and a tuple in others."""
    stream = output[0] if isinstance(output, (tuple, list)) else output
    if not isinstance(stream, Tensor):
        raise ModelError(f"A block returned {type(stream).__name__}, where a tensor or a tuple with one was expected.")
    return stream


def run(hf: Any, anatomy: Anatomy, inputs: Mapping[str, Tensor]) -> Run:
    """One forward of the model as it is, with each call of a block noted; no hook outlives it."""
    calls: list[Call] = []
    streams: list[Tensor] = []
    outputs: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call, stream = _noted(module, args, kwargs)
        calls.append(call)
        streams.append(stream)

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        outputs[:] = [stream_of(output)]

    with ExitStack() as hooks, torch.no_grad():
        for block in anatomy.blocks:
            hooks.callback(block.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(block.register_forward_hook(after).remove)
        logits = hf(**inputs, **_plainly(hf), return_dict=True).logits
    # blocks may lie on several GPUs; what is compared, cast and replayed lies where the first stream does
    place = streams[0].device if streams else logits.device
    return Run(tuple(calls), tuple(stream.to(place) for stream in (*streams, *outputs)), logits.to(place))


def _plainly(hf: Any) -> dict[str, bool]:
    """Without a cache of keys and values: replaying a block would add to it."""
    accepted = hf.can_generate() or "use_cache" in signature(hf.forward).parameters
    return {"use_cache": False} if accepted else {}


def _noted(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call, Tensor]:
    if args:
        return Call(module, (None, *args[1:]), kwargs, 0), args[0]
    if "hidden_states" in kwargs:
        return Call(module, args, {**kwargs, "hidden_states": None}, "hidden_states"), kwargs["hidden_states"]
    raise ModelError(f"{type(module).__name__} was called without a stream: its arguments are {', '.join(kwargs)}.")
