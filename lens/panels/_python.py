"""Code that asks what a panel asks, by the public names of lens."""

from __future__ import annotations

from typing import Any

from lens.models import Model
from lens.panels._desk import Desk

__all__ = ["call", "heldout", "opening", "program"]


def program(*lines: str) -> str:
    """Lines of one program, which ends by showing its `frame`."""
    return "\n".join([*lines, "frame"]) + "\n"


def call(function: str, *arguments: str, **named: Any) -> str:
    """A call as one writes it: what is None is left out, a `str` starting with "=" is code, else a value."""
    words = [f"{name}={_value(value)}" for name, value in named.items() if value is not None]
    return f"{function}({', '.join([*arguments, *words])})"


def _value(value: Any) -> str:
    return value[1:] if isinstance(value, str) and value.startswith("=") else repr(value)


def opening(desk: Desk, *imports: str) -> list[str]:
    """Import lens, load the model of the answer, and name its maps where they are not the model's own."""
    answer = desk.answer
    return [
        "import lens",
        *imports,
        "",
        call("model = lens.load", repr(answer.model.name), engine=_engine(answer.model)),
        *(['maps = lens.Maps.load("…")  # fitted in this session: save them under Fit, and give their folder']
          if desk.own_maps else []),
    ]  # fmt: skip


def _engine(model: Model) -> str | None:
    """The engine that holds the model, without the token, which is not for everyone who is shown the code."""
    return None if model.remote is None else model.remote.engine.address


def heldout(count: int) -> str:
    """The sentences that the panels measure on."""
    return f"sentences = heldout_sentences()[:{count}]"
