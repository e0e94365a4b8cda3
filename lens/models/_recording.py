"""Record one plain forward, then carry out any block again with exactly what it was called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from lens.models._anatomy import Anatomy
from lens.models._calls import Call, noted, stream_of
from lens.models._parts import Span, intercepted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lens.models._model import Model

__all__ = [
    "Passage",
    "Recording",
    "Replay",
    "Run",
    "forward_without_head",
    "passages",
    "run",
    "run_without_head",
]

Passage = tuple[str, int, int]  # a part, the block, and the number of the span in it


@dataclass(frozen=True)
class Run:
    """A recorded forward: the calls of its L blocks, the stream at each of the L+1 boundaries, and the logits."""

    calls: tuple[Call, ...]
    streams: tuple[Tensor, ...]
    logits: Tensor
    extras: int | None  # what a block's output holds beside the stream, if it is a tuple


@dataclass(frozen=True)
class Replay:
    """The calls of a model's blocks, each to be carried out again on any stream."""

    model: Model
    calls: tuple[Call, ...] = field(repr=False)
    # whether alike blocks of a parallel stage run as one call: True, False, or "auto" where that is faster
    batched: bool | Literal["auto"] = field(default=False, repr=False, kw_only=True)

    def run_block(self, block: int, stream: Tensor) -> Tensor:
        """Carry out one block, with the side inputs it was recorded with, on a stream (B, T, d)."""
        with self.model.lock, torch.no_grad():  # the lock: a recording on another thread must not see this call
            return self.calls[block](stream)

    def run_block_with(
        self, block: int, stream: Tensor, part: str, maps: Sequence[Callable[[Tensor], Tensor]]
    ) -> Tensor:
        """`run_block` with each span of `part` answered by its map, (…, d) to (…, d), instead of the model's modules.

        Raises ModelError where the block has no such part.
        """
        spans = self.model.spans(part)[block]
        with self.model.lock, torch.no_grad(), intercepted(spans, lambda number, entered, _: maps[number](entered)):
            return self.calls[block](stream)  # not run_block, which may remember what the true block gave


@dataclass(frozen=True)
class Recording(Replay):
    """One plain forward of the unmodified model over a batch."""

    ids: Tensor = field(repr=False)  # (B, T) int64
    attention_mask: Tensor = field(repr=False)  # (B, T) int64, 0 at padding
    streams: tuple[Tensor, ...] = field(repr=False)  # L+1 of (B, T, d): the stream at boundary 0 … L
    head: Tensor | None = field(repr=False)  # (B, T, V), what the model's own head said, if it was asked
    parts: Mapping[Passage, tuple[Tensor, Tensor]] = field(repr=False)  # inputs and outputs (B, T, d) of parts

    @property
    def nbytes(self) -> int:
        """Bytes of its streams and logits."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (*self.streams, self.logits))

    @cached_property
    def logits(self) -> Tensor:
        """The model's own output (B, T, V); from the last stream, where the forward went without the head."""
        return self.model.unembed(self.streams[-1]) if self.head is None else self.head


def run(hf: Any, anatomy: Anatomy, inputs: Mapping[str, Tensor]) -> Run:
    """One forward of the model as it is, with each call of a block noted; no hook outlives it."""
    extras: list[int | None] = []

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        extras[:] = [len(output) - 1 if isinstance(output, (tuple, list)) else None]

    with _noting(anatomy) as (calls, streams), ExitStack() as hooks, torch.no_grad():
        for block in anatomy.blocks:
            hooks.callback(block.register_forward_hook(after).remove)
        logits = hf(**inputs, **_plainly(hf), return_dict=True).logits
    return Run(tuple(calls), _together(streams), logits.to(streams[0].device) if streams else logits, *extras or [None])


def run_without_head(hf: Any, anatomy: Anatomy, inputs: Mapping[str, Tensor]) -> tuple[tuple[Call, ...], Any]:
    """The calls and streams of `run`, without the price of its logits."""
    with _noting(anatomy) as (calls, streams):
        forward_without_head(hf, inputs)
    return tuple(calls), _together(streams)


def forward_without_head(hf: Any, inputs: Mapping[str, Tensor]) -> None:
    """The model as far as its last stream, for those who listen to its blocks."""
    with torch.no_grad():
        hf.base_model(**inputs, **_plainly(hf), return_dict=True)


@contextmanager
def passages(spans: Mapping[str, Sequence[Sequence[Span]]]) -> Iterator[dict[Passage, tuple[Tensor, Tensor]]]:
    """What goes in and out of the spans (part → block → its spans) while this lasts."""
    heard: dict[Passage, tuple[Tensor, Tensor]] = {}

    def listen(part: str, block: int) -> Callable[[int, Tensor, Tensor], None]:
        def hear(number: int, entered: Tensor, left: Tensor) -> None:
            heard[part, block, number] = entered, left.clone()  # Falcon adds to it in place

        return hear

    with ExitStack() as listening:
        for part, blocks in spans.items():
            for block, own in enumerate(blocks):
                listening.enter_context(intercepted(own, listen(part, block)))
        yield heard


@contextmanager
def _noting(anatomy: Anatomy) -> Iterator[tuple[list[Call], list[Tensor]]]:
    """The calls and streams of the blocks that run while this lasts; the last stream is the last block's output."""
    calls: list[Call] = []
    streams: list[Tensor] = []
    outputs: list[Tensor] = []

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call, stream = noted(module, args, kwargs)
        calls.append(call)
        streams.append(stream)

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        outputs[:] = [stream_of(output)]

    with ExitStack() as hooks:
        for block in anatomy.blocks:
            hooks.callback(block.register_forward_pre_hook(before, with_kwargs=True).remove)
            hooks.callback(block.register_forward_hook(after).remove)
        yield calls, streams
    streams += outputs


def _together(streams: Sequence[Tensor]) -> tuple[Tensor, ...]:
    # blocks may lie on several GPUs; what is compared, cast and replayed lies where the first stream does
    return tuple(stream.to(streams[0].device) for stream in streams)


def _plainly(hf: Any) -> dict[str, bool]:
    """Without a cache of keys and values: replaying a block would add to it."""
    accepted = hf.can_generate() or "use_cache" in signature(hf.forward).parameters
    return {"use_cache": False} if accepted else {}
