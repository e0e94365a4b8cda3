"""The parts of a block that a linear map can stand in for: attention, feed-forward network, layer norms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lens.errors import ModelError
from lens.models._calls import noted, stream_of, with_stream
from lens.models._family import Family

__all__ = ["Span", "intercepted", "spans_of"]

# what a part is called in most blocks; a family says where it differs
USUAL = {"attn": ("attn", "self_attn", "self_attention", "attention"), "ffn": ("mlp", "ffn", "block_sparse_moe")}


@dataclass(frozen=True)
class Span:
    """Modules inside a block that run in a row: the first takes the part's input, the last gives its output."""

    first: nn.Module
    last: nn.Module


def spans_of(block: nn.Module, part: str, family: Family) -> tuple[Span, ...]:
    """Where `part` is in `block`; ModelError where the block has no such part.

    "attn" and "ffn" are one span each, without the residual that is added to them; "ln" is every norm that stands in
    the block itself, be it one, two or four.
    """
    if part in family.parts:
        return tuple(_span(block, path) for path in family.parts[part])
    children = dict(block.named_children())
    if part == "ln":
        found = [name for name, child in children.items() if "norm" in type(child).__name__.lower()]
    else:
        found = [name for name in USUAL.get(part, ()) if name in children][:1]
    if not found:
        raise ModelError(
            f"A {type(block).__name__} has no part that is known as {part}. Use the whole block, or say in its file in "
            "lens/models/families where the part is."
        )
    return tuple(_span(block, name) for name in found)


def _span(block: nn.Module, path: str) -> Span:
    """From "attention.self>attention.output.dense", or one name for a module that is the whole part."""
    first, _, last = path.partition(">")
    return Span(block.get_submodule(first), block.get_submodule(last or first))


@contextmanager
def intercepted(spans: Sequence[Span], answer: Callable[[int, Tensor, Tensor], Tensor | None]) -> Iterator[None]:
    """While this lasts, ask `answer(number, input, output)` whenever a span has run; a tensor takes the output's place.

    No hook outlives it, and the modules stay as they are.
    """
    inputs: dict[int, Tensor] = {}

    def enter(number: int) -> Callable[..., None]:
        return lambda module, args, kwargs: inputs.__setitem__(number, noted(module, args, kwargs)[1])

    def leave(number: int) -> Callable[..., Any]:
        def answered(_module: nn.Module, _args: Any, output: Any) -> Any:
            instead = answer(number, inputs.pop(number), stream_of(output))
            return None if instead is None else with_stream(output, instead)

        return answered

    with ExitStack() as hooks:
        for number, span in enumerate(spans):
            hooks.callback(span.first.register_forward_pre_hook(enter(number), with_kwargs=True).remove)
            hooks.callback(span.last.register_forward_hook(leave(number)).remove)
        yield
