"""Held-out r² of every pair of layers, id and the fitted maps beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from lens.numerics import R2, VARIANTS
from lens.panels._desk import Desk
from lens.panels._panel import Panel, Seen
from lens.panels._python import opening, program
from lens.panels._undo import watch
from lens.panels.live import HeatMap

__all__ = ["PANEL", "R2Maps"]

HINTS = {
    "stream": "the paper's: how much of the target layer's stream is explained",
    "inner": "without the first token, where some models keep huge activations",
    "update": "of what changes between the layers, as most of the stream is carried over",
}


class R2Maps(Seen, HeatMap):
    """The scores on the card of the maps in use; a click sets source and target for every panel."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(variant="stream")
        self._desk = desk
        self.undo = [
            watch(desk, ["answer", "busy"], self.draw),
            watch(desk.session, ["source", "target"], self._select),
            self.on_message("pick", self._pick),
        ]

    def python(self) -> str:
        """The scores on the card of the maps."""
        maps = "maps" if self._desk.own_maps else "lens.maps_for(model)"
        return program(*opening(self._desk), f"frame = {maps}.card.r2().frame()")

    def _pick(self, message: dict[str, Any]) -> None:
        answer = self._desk.answer
        if answer is None:
            return
        source, target = int(message["source"]), int(message["target"])
        if 0 <= source <= target <= answer.model.n_blocks:
            with self._desk.session.hold_trait_notifications():
                self._desk.session.source = source
                self._desk.session.target = None if target == answer.model.n_blocks else target

    def _select(self) -> None:
        answer = self._desk.answer
        if answer is not None:
            wanted = self._desk.session.target
            self.show(source=self._desk.session.source, target=answer.model.n_blocks if wanted is None else wanted)

    def draw(self) -> None:
        """Draw the scores of the maps in use."""
        self.busy = self._desk.stale
        maps = self._desk.maps
        if self._desk.answer is None or not self.visible:
            return
        if maps is None or not maps.card.scores:
            name = self._desk.answer.name
            why = "hold no scores" if maps else "are not there yet"
            self.show(spec={"title": "Held-out r²", "note": f"Maps for {name} {why}: fit them under Fit."})
            return
        self.fill(**picture(maps.card.r2(), maps.card.heldout_corpus))
        self._select()


def picture(r2: R2, corpus: str) -> dict[str, Any]:
    """The spec and numbers of a heat map widget."""
    kept = [
        v
        for v in range(len(r2.variants))
        if np.isfinite(r2.values.value[v][:, ~np.eye(r2.n_blocks + 1, dtype=bool)]).any()
    ]
    names = [r2.variants[v] for v in kept]
    titles = {"stream": "r²", "inner": "without position 0", "update": "of the update"}
    return {
        "spec": {
            "maps": [{"key": cast, "title": cast} for cast in r2.casts],
            "layers": list(range(r2.n_blocks + 1)),
            "variants": [
                {"key": name, "title": titles[name], "hint": f"{VARIANTS[name]}: {HINTS[name]}"} for name in names
            ],
            "title": "Held-out r² of every pair of layers",
            "note": f"Scored on {r2.tokens:,} tokens of {r2.sentences:,} sentences: {corpus}. "
            "± is the standard error over sentences. Click a cell to set source and target.",
        },
        "values": r2.values.value[kept],
        "errors": r2.values.error[kept],
    }


PANEL = Panel("r2", "r²", 2, "How much of each layer is explained from each earlier one, on held-out text.", R2Maps)
