"""Many plans over one recording: what two of them begin with alike runs once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from lens.casts import Maps
from lens.execution._interpreter import step
from lens.models import Recording
from lens.plans import Blocks, Parallel, Plan, Stage

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
        """The most streams that are kept at once while it runs: those that fork off on the way, and those at work."""
        return 2 + max((kept for _, kept, _ in _walk(self)), default=0)


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
    if node.then:
        shared = _remembering(recording, stream, node.then)
        after = [_next(shared, stage, stream, true, maps) for stage in node.then]
        del shared, stream
        for child in node.then.values():
            yield from _finals(recording, child, *after.pop(0), maps)


def _next(
    recording: Recording, stage: Stage, stream: Tensor, true: int | None, maps: Maps | None
) -> tuple[Tensor, int | None]:
    """The stream after a stage; `true` counts the true blocks that led here, None once anything else ran."""
    if stage == _block(true):
        assert true is not None  # noqa: S101 - only a number makes a block
        return recording.streams[true + 1], true + 1
    return step(recording, stage, stream, maps), None


class _Remembering(Recording):
    """A recording that runs a block on the stream of one fork only once, as a child runs it alone or side by side."""

    at: Tensor
    kept: dict[int, Tensor | None]  # the blocks that more than one child begins with

    def run_block(self, block: int, stream: Tensor) -> Tensor:
        """As a recording does, from memory where it is there."""
        if stream is not self.at or block not in self.kept:
            return super().run_block(block, stream)
        found = self.kept[block]
        if found is None:
            found = self.kept[block] = super().run_block(block, stream)
        return found


def _remembering(recording: Recording, stream: Tensor, children: Iterable[Stage]) -> Recording:
    counts = Counter(block for stage in children for block in set(_beginnings(stage)))
    found = _Remembering(**{field.name: getattr(recording, field.name) for field in fields(recording)})
    object.__setattr__(found, "at", stream)
    object.__setattr__(found, "kept", {block: None for block, count in counts.items() if count > 1})
    return found


def _beginnings(stage: Stage) -> list[int]:
    """The true blocks that a stage runs on the stream it is given."""
    members = stage.branches if isinstance(stage, Parallel) else (stage,)
    return [member.first for member in members if isinstance(member, Blocks) and member.part is None]


def _block(true: int | None) -> Stage | None:
    return None if true is None else Blocks(true, true)


def _walk(root: Trie) -> Iterator[tuple[Trie, int, int]]:
    """Every node but the root, the streams kept above it, and how many blocks its stage runs."""
    waiting: list[tuple[Trie, int, int | None]] = [(root, 0, 0)]
    while waiting:
        node, kept, true = waiting.pop()
        begun: set[int] = set()
        for stage, child in node.then.items():
            free = stage == _block(true)
            # a fork keeps its children's streams, and while they are made each block's output on its own
            below = kept + (
                len(node.then) + max(len(_beginnings(each)) for each in node.then) if len(node.then) > 1 else 0
            )
            known = begun & set(_beginnings(stage))
            begun |= set() if free else set(_beginnings(stage))
            yield child, below, 0 if free else stage.applications - len(known)
            waiting.append((child, below, true + 1 if free and true is not None else None))
