"""The lens table: what every layer makes of every token."""

from __future__ import annotations

from typing import Any

import numpy.typing
import traitlets

from lens.panels.live._live import Picture, raw

__all__ = ["LensTable"]


class LensTable(Picture, asset="table"):
    """Boundaries × tokens with the top-1 in each cell, coloured by a metric; hover shows the top-k, a click picks.

    `spec` says what the numbers are: `{"layers": [0, …], "columns": [{"label", "special", "masked"}], "casts": ["id",
    "mat"], "k", "vocabulary": [labels], "metrics": [{"key", "title", "unit", "low", "high", "most", "better"}],
    "target", "title", "note"}`. With C casts, S layers, T columns and M metrics the numbers are little-endian and in C
    order: `top` int32 (C, S+1, T, k) into the vocabulary (-1 is none), `probabilities` float32 of that shape, `scores`
    float32 (M, C, S+1, T); row S is the model's own output and NaN marks an absent cell.

    `spec["ids"]`, if it is there, are the token ids of the vocabulary, for the numbers that are saved.
    Where columns are not positions 0, 1, …, `spec["positions"]` lists the position of each. A metric's `low` and `high`
    may be None: then the data's own range is taken; where `most`, its largest, is beyond `high`, the legend says "≥".
    The metric with key "rank" has a logarithmic scale that begins at its `low`, 0 or 1.
    Sends `{"kind": "pick", "source": s, "position": t}`.
    """

    _scripts = (*Picture._scripts, "reading.js")

    spec = traitlets.Dict().tag(sync=True)
    top = traitlets.Bytes(b"").tag(sync=True)
    probabilities = traitlets.Bytes(b"").tag(sync=True)
    scores = traitlets.Bytes(b"").tag(sync=True)
    cast = traitlets.Unicode("id").tag(sync=True)
    """A cast of the spec, or "difference" where it has both id and mat."""
    metric = traitlets.Unicode("probability").tag(sync=True)
    source = traitlets.Int(0).tag(sync=True)
    """The chosen layer, as it stands in `spec["layers"]`."""
    position = traitlets.Int(-1, min=-1).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def fill(
        self,
        spec: dict[str, Any],
        top: numpy.typing.ArrayLike,
        probabilities: numpy.typing.ArrayLike,
        scores: numpy.typing.ArrayLike,
        **state: Any,
    ) -> None:
        """Show a reading, in one message with whatever other traits `state` names.

        Raises LensError where an array has not the shape that the spec says.
        """
        cells = (len(spec["casts"]), len(spec["layers"]) + 1, len(spec["columns"]))
        self.show(
            spec=spec,
            top=raw("top", top, "<i4", (*cells, spec["k"])),
            probabilities=raw("probabilities", probabilities, "<f4", (*cells, spec["k"])),
            scores=raw("scores", scores, "<f4", (len(spec["metrics"]), *cells)),
            **state,
        )
