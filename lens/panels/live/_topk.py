"""Top-k predictions beside each other, as bars."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Picture

__all__ = ["TopK"]

_ROW = traitlets.Dict(
    per_key_traits={
        "label": traitlets.Unicode(),
        "probability": traitlets.Float(min=0, max=1),
        "token_id": traitlets.Int(),
        "agrees": traitlets.Bool(),
    }
)
_FACT = traitlets.Dict(
    per_key_traits={"name": traitlets.Unicode(), "value": traitlets.Unicode(), "title": traitlets.Unicode()}
)
_ACTION = traitlets.Dict(per_key_traits={"id": traitlets.Unicode(), "label": traitlets.Unicode()}, allow_none=True)


class TopK(Picture, asset="topk"):
    """Columns of bars on one shared scale; sends `{"kind": "action", "id": …}` when a column's button is pressed.

    A column is `{"key": "id" | "mat" | "plan" | "model", "title", "subtitle", "rows", "facts", "message", "action"}`.
    Rows are `{"label", "probability", "token_id", "agrees"}`, `agrees` where the token is the model's own top-1; facts
    are `{"name", "value", "title"}`; a `message` stands where the rows would, with a button for `action`.
    """

    columns = traitlets.List(
        traitlets.Dict(
            per_key_traits={
                "key": traitlets.Unicode(),
                "title": traitlets.Unicode(),
                "subtitle": traitlets.Unicode(),
                "rows": traitlets.List(_ROW),
                "facts": traitlets.List(_FACT),
                "message": traitlets.Unicode(allow_none=True),
                "action": _ACTION,
            }
        )
    ).tag(sync=True)
    k = traitlets.Int(10, min=1).tag(sync=True)
    """Rows that room is kept for, so that nothing jumps."""
    busy = traitlets.Bool(False).tag(sync=True)
