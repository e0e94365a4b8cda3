"""Square maps of source and target layers beside each other, on one scale."""

from __future__ import annotations

from typing import Any

import numpy.typing
import traitlets

from lens.panels.live._live import Picture, raw

__all__ = ["HeatMap"]


class HeatMap(Picture, asset="heatmap"):
    """Source × target heat maps; hover and arrow keys read a cell, a click or Enter picks it.

    `spec` is `{"maps": [{"key", "title"}], "layers": [0, …], "variants": [{"key", "title", "hint"}], "title", "note"}`.
    With V variants, M maps and S layers `values` and `errors` are little-endian float32 (V, M, S, S), [source, target];
    NaN is not fitted, colours are limited to 0…1, or to `"range"` in the spec. There, too: `"square"` draws below the
    diagonal, `"x"` and `"y"` name the axes, `"word"` what is read. Sends `{"kind": "pick", "source": s, "target": t}`.
    """

    spec = traitlets.Dict().tag(sync=True)
    values = traitlets.Bytes(b"").tag(sync=True)
    errors = traitlets.Bytes(b"").tag(sync=True)
    variant = traitlets.Unicode("").tag(sync=True)
    source = traitlets.Int(-1, min=-1).tag(sync=True)
    target = traitlets.Int(-1, min=-1).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)

    def fill(
        self,
        spec: dict[str, Any],
        values: numpy.typing.ArrayLike,
        errors: numpy.typing.ArrayLike,
        **state: Any,
    ) -> None:
        """Show maps, in one message with whatever other traits `state` names.

        Raises LensError where an array has not the shape that the spec says.
        """
        size = len(spec["layers"])
        shape = len(spec["variants"]), len(spec["maps"]), size, size
        both = {"values": raw("values", values, "<f4", shape), "errors": raw("errors", errors, "<f4", shape)}
        self.show(spec=spec, **both, **state)
