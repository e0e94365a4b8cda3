"""Lines with bands of uncertainty."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Picture

__all__ = ["Chart"]


class Chart(Picture, asset="chart"):
    """A line chart; a rule under the pointer (or the arrow keys) reads all lines at one x, a click picks it.

    `spec` is `{"title", "note", "x": {"label", "values"}, "y": {"label", "low", "high", "format"}, "lines": [{"key",
    "title", "values", "errors", "style", "x"}], "marker": {"x"}, "guides": [{"y", "title"}]}`. A format is "percent" or
    "number", a style "solid", "dash" or "points"; null is no value, bands are ± 2 errors, `x` of a line are places of
    its own. Sends `{"kind": "pick", "x": x}`.
    """

    spec = traitlets.Dict().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
