"""How a module is called with a stream, and where the stream is in what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

    def __call__(
        self, stream: Tensor, run: Callable[[tuple[Any, ...], Mapping[str, Any]], Any] | None = None
    ) -> Tensor:
        """The block's output (B, T, d) for another stream (B, T, d), all else as recorded.

        `run(args, kwargs)` may stand in for calling the module.
        """
        args, kwargs = self.args, self.kwargs
        if isinstance(self.place, int):
            args = (*args[: self.place], stream, *args[self.place + 1 :])
        else:
            kwargs = {**kwargs, self.place: stream}
        output = self.module(*args, **kwargs) if run is None else run(args, kwargs)
        return stream_of(output).to(stream.device)


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
