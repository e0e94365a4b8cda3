"""How a module is called with a stream, and where the stream is in what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from lens.errors import ModelError

__all__ = ["Call", "noted", "stream_of", "with_stream"]


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


def stream_of(output: Any) -> Tensor:
    """The stream in a block's output, which is a tensor in some families and a tuple in others."""
    stream = output[0] if isinstance(output, (tuple, list)) else output
    if not isinstance(stream, Tensor):
        raise ModelError(f"A block returned {type(stream).__name__}, where a tensor or a tuple with one was expected.")
    return stream


def with_stream(output: Any, stream: Tensor) -> Any:
    """The same output with another stream, in the shape of its own."""
    own = stream_of(output)
    stream = stream.reshape(own.shape).to(own.device, own.dtype)
    return stream if output is own else type(output)((stream, *output[1:]))


def noted(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Call, Tensor]:
    """The call without its stream, and the stream."""
    if args:
        return Call(module, (None, *args[1:]), kwargs, 0), args[0]
    if "hidden_states" in kwargs:
        return Call(module, args, {**kwargs, "hidden_states": None}, "hidden_states"), kwargs["hidden_states"]
    raise ModelError(f"{type(module).__name__} was called without a stream: its arguments are {', '.join(kwargs)}.")
