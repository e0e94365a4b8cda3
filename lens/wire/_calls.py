"""Functions that a shared engine answers: here for a model that is here, there for one that is there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from lens.errors import LensError, ModelError
from lens.wire._fits import hints

__all__ = ["RECORDING", "Call", "calls", "served"]

P = ParamSpec("P")
R = TypeVar("R")

RECORDING = "recording"  # a first argument so named is a recording, which the engine makes of the tokens
HEARD = ("progress", "stream")  # what is called while work goes on; the engine is only told that somebody listens
_CALLS: dict[str, Call] = {}


@dataclass(frozen=True)
class Call:
    """A function whose first argument is a model, or what was recorded of one."""

    name: str
    function: Callable[..., Any]
    first: str  # what its first argument is called
    types: dict[str, Any]  # of the other arguments that travel, by name
    heard: tuple[str, ...]
    quick: bool  # it runs no block, so that it need not wait for its turn
    steps: bool  # it gives one result after the other
    spread: str = "options"  # **options


def calls() -> dict[str, Call]:
    """Every function that is served, by name."""
    return dict(_CALLS)


def served(
    *, stays: Iterable[str] = (), options: Callable[..., Any] | None = None, quick: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let the engine that holds the model of the first argument answer a function, if that is not this process.

    The arguments named in `stays` are of this machine and do not travel, as folders and bytes of memory; `options`
    is the function that **options go to.
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        call = _call(function, {*stays}, options, quick)
        if _CALLS.setdefault(call.name, call) is not call:
            raise ImportError(f"Two functions named {call.name!r} would be served.")
        signature = inspect.signature(function)

        @functools.wraps(function)
        def asked(*arguments: P.args, **named: P.kwargs) -> R:
            first = arguments[0] if arguments else named.get(call.first)
            if call.first != RECORDING and not hasattr(first, "remote"):
                raise ModelError(f"A model is needed, from lens.load, not {type(first).__name__}.")
            remote = getattr(first, "remote", None)
            if remote is None:
                return function(*arguments, **named)
            given = signature.bind(*arguments, **named).arguments
            answer: R = remote.ask(call, _travelling(call, first, given))
            return answer

        return asked

    return mark


def _call(function: Callable[..., Any], stays: set[str], options: Callable[..., Any] | None, quick: bool) -> Call:
    types: dict[str, Any] = {}
    first = next(iter(inspect.signature(function).parameters))
    for each, skipped in ((function, 1), (options, 3)):  # of `options`, the model, the texts and the plans are known
        if each is not None:
            told = hints(inspect.unwrap(each))
            named = list(inspect.signature(each).parameters.values())[skipped:]
            types |= {one.name: told[one.name] for one in named if one.kind is not one.VAR_KEYWORD}
    types = {name: hint for name, hint in types.items() if name not in stays}
    heard = tuple(name for name in HEARD if name in types)
    steps = inspect.isgeneratorfunction(inspect.unwrap(function))
    travel = {name: hint for name, hint in types.items() if name not in heard}
    return Call(function.__name__, function, first, travel, heard, quick, steps)


def _travelling(call: Call, first: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What is asked: the arguments by name, but the model, which the engine has; of a recording, its tokens."""
    asked = {name: value for name, value in given.items() if name != call.first}
    asked |= asked.pop(call.spread, {})
    known = {*call.types, *call.heard}
    if kept := [name for name, value in asked.items() if name not in known and value is not None]:
        raise LensError(f"{call.name} takes no {kept[0]} on a shared engine: it is of the engine's own machine.")
    asked = {name: value for name, value in asked.items() if name in known}
    if call.first == RECORDING:
        asked |= {RECORDING: first.tokens}
        asked.pop("tokens")
    return asked
