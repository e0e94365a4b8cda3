"""How well each layer foretells the model's output: Precision@k, surprisal, KL and entropy over held-out sentences."""

from __future__ import annotations

from typing import Any

from lens.analyses import curves
from lens.casts import Maps
from lens.models import Model
from lens.panels._curved import Curved
from lens.panels._desk import Desk
from lens.panels._panel import Panel
from lens.panels._shelf import readable

__all__ = ["PANEL", "CurvesPanel"]


class CurvesPanel(Curved):
    """Every cast that the maps hold, to the last layer."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk, "curves", _curves)

    def python(self) -> str:
        """Measure the curves again."""
        return self.program("lens.curves", casts=readable(self.desk.maps, self.desk.answer.model.n_blocks))


def _curves(model: Model, maps: Maps | None, texts: list[str], report: Any) -> Any:
    return curves(model, texts, maps=maps, casts=readable(maps, model.n_blocks), progress=report)


PANEL = Panel("curves", "Curves", 3, "How well each layer foretells the output, over held-out sentences.", CurvesPanel)
