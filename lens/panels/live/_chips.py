"""The tokens of the sentence, to pick a position from."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Live

__all__ = ["Chips"]


class Chips(Live, asset="chips"):
    """Token chips in model order; a click, Enter or an arrow key chooses one.

    Sends `{"kind": "pick", "position": i}`, also when the chip chosen is the one already selected.
    """

    tokens = traitlets.List(
        traitlets.Dict(
            per_key_traits={
                "label": traitlets.Unicode(),
                "special": traitlets.Bool(),
                "masked": traitlets.Bool(),
                "title": traitlets.Unicode(),
            }
        )
    ).tag(sync=True)
    position = traitlets.Int(-1, min=-1).tag(sync=True)
    """The chosen token, counted from 0; -1 is none."""
    hint = traitlets.Unicode("").tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
