"""What a plan changes, token by token."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Picture

__all__ = ["Shifts"]


class Shifts(Picture, asset="shifts"):
    """Tokens, each with what is predicted after it, coloured by the change of the loss of what really comes after it.

    `spec` is `{"tokens": [{"label", "change", "prediction", "model", "agrees"}], "title", "note"}`; a `change` is in
    nats, of the token that comes next, null where none does. `"most"`, if it is there, is where colours end.
    """

    spec = traitlets.Dict().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
