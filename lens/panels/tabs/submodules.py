"""What is lost where one part of every later block is linear: attention, feed-forward network, or layer norms."""

from __future__ import annotations

from typing import Any

from lens.analyses import submodules
from lens.casts import Maps
from lens.models import Model
from lens.panels._curved import Curved
from lens.panels._desk import Desk
from lens.panels._panel import Panel
from lens.panels._shelf import readable

__all__ = ["PANEL", "Submodules"]


class Submodules(Curved):
    """ℓ true blocks, then all later ones with one part linear."""

    note = "From the layer on, one part of every block is linear: attention, feed-forward or layer norms."

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "submodules", _submodules)

    def python(self) -> str:
        """Measure the curves again."""
        return self.program("lens.submodules", casts=_shown(self.desk.answer.model, self.desk.maps))


def _shown(model: Model, maps: Maps | None) -> list[str]:
    return [cast for cast in readable(maps, model.n_blocks) if cast in ("mat", "id")]


def _submodules(model: Model, maps: Maps | None, texts: list[str], report: Any) -> Any:
    return submodules(model, texts, maps=maps, casts=_shown(model, maps), progress=report)


PANEL = Panel(
    "submodules",
    "Sub-modules",
    5,
    "What is lost where attention, feed-forward networks or layer norms are linear.",
    Submodules,
)
