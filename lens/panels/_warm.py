"""What every visitor of a page needs, brought into memory before anyone comes."""

from __future__ import annotations

from lens.panels._explore import hosts_shelf
from lens.panels._panel import panels
from lens.panels._session import EXAMPLES
from lens.panels._shelf import Question, Shelf

__all__ = ["warm_up"]

_kept: list[Shelf] = []


def warm_up() -> None:
    """Import the panels, and read an example with the host's model. LensError where there is no such model."""
    panels()
    name, shelf = hosts_shelf()
    shelf.load(name)
    shelf.answer(Question(name, EXAMPLES[shelf.models[name].kind]))
    shelf.forget()  # the models stay, which sessions hold together
    _kept.append(shelf)
