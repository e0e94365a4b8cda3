"""Many plans over one recording: what two of them begin with alike runs once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lens.casts import Maps
from lens.execution._interpreter import step
from lens.models import Recording
from lens.plans import Blocks, Plan, Stage

__all__ = ["Trie", "finals", "trie"]


@dataclass
class Trie:
    """What runs first, and then; the plans that end here by their number."""

    then: dict[Stage, Trie] = field(default_factory=dict)
    plans: list[int] = field(default_factory=list)

    @property
    def applications(self) -> int:
        """How many blocks run, beside the true prefix that the recording holds."""
        return sum(cost for _, _, cost in _walk(self))

    @property
    def live(self) -> int:
        """The most streams that are kept at once while it runs: one for each fork on the way, and the one at work."""
        return 2 + max((forks for _, forks, _ in _walk(self)), default=0)


def trie(plans: Sequence[Plan]) -> Trie:
    """The plans joined where they begin alike."""
    root = Trie()
    for number, plan in enumerate(plans):
        node = root
        for stage in plan.flat:
            node = node.then.setdefault(stage, Trie())
        node.plans.append(number)
    return root


def finals(recording: Recording, root: Trie, *, maps: Maps | None = None) -> Iterator[tuple[list[int], Tensor]]:
    """The last stream (batch, positions, width) of every plan, with the numbers of the plans that end in it.

    True blocks in their own order from the first are taken from the recording; all else runs once for all plans that
    share it. Only the streams at forks are kept.
    """
    with torch.no_grad():
        yield from _finals(recording, root, recording.streams[0], 0, maps)


def _finals(
    recording: Recording, node: Trie, stream: Tensor, true: int | None, maps: Maps | None
) -> Iterator[tuple[list[int], Tensor]]:
    while True:
        if node.plans:
            yield node.plans, stream
        if len(node.then) != 1:
            break
        ((stage, node),) = node.then.items()  # no fork: the stream before is not needed again
        stream, true = _next(recording, stage, stream, true, maps)
    for stage, child in node.then.items():
        yield from _finals(recording, child, *_next(recording, stage, stream, true, maps), maps)


def _next(
    recording: Recording, stage: Stage, stream: Tensor, true: int | None, maps: Maps | None
) -> tuple[Tensor, int | None]:
    """The stream after a stage; `true` counts the true blocks that led here, None once anything else ran."""
    if stage == _block(true):
        assert true is not None  # noqa: S101 - only a number makes a block
        return recording.streams[true + 1], true + 1
    return step(recording, stage, stream, maps), None


def _block(true: int | None) -> Stage | None:
    return None if true is None else Blocks(true, true)


def _walk(root: Trie) -> Iterator[tuple[Trie, int, int]]:
    """Every node but the root, the forks above it, and how many blocks its stage runs."""
    waiting: list[tuple[Trie, int, int | None]] = [(root, 0, 0)]
    while waiting:
        node, forks, true = waiting.pop()
        for stage, child in node.then.items():
            free = stage == _block(true)
            below = forks + (len(node.then) > 1)
            yield child, below, 0 if free else stage.applications
            waiting.append((child, below, true + 1 if free and true is not None else None))
