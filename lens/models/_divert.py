"""Let a model's own forward run with something else in the place of all its blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from lens.models._calls import Call, noted

__all__ = ["Onward", "diverted"]

Onward = Callable[[tuple[Call, ...], Tensor], Tensor]  # (calls of all blocks, stream into the first) -> last stream


@contextmanager
def diverted(blocks: Sequence[nn.Module], count: int, extras: int | None, onward: Onward) -> Iterator[None]:
    """While this lasts, a forward notes how its `count` blocks are called without running them, and the last call is
    answered by `onward`; embeddings, masks, positions, head and loss stay the model's own.

    `extras` is how much a block returns beside the stream, None where it is no tuple. Nothing is left on the modules.
    """
    own = {block: block.__dict__.get("forward") for block in blocks}
    calls: list[Call] = []
    start: list[Tensor] = []

    def give_back() -> None:
        for block, forward in own.items():
            if forward is None:
                block.__dict__.pop("forward", None)
            else:  # such as accelerate's, which brings inputs to the block's device
                block.forward = forward

    def stand_in(block: nn.Module) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            call, stream = noted(block, args, kwargs)
            calls.append(call)
            start.append(stream)
            if len(calls) == count:
                give_back()
                stream = onward(tuple(calls), start[0])
                calls.clear()
                start.clear()
                take()
            return stream if extras is None else (stream, *[None] * extras)

        return forward

    def take() -> None:
        for block in own:
            vars(block)["forward"] = stand_in(block)  # as `block.forward =` does, but for what a Module looks up first

    try:
        take()
        yield
    finally:
        give_back()
