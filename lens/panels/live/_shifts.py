"""What a plan changes, token by token."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Picture

__all__ = ["Shifts"]


class Shifts(Picture, asset="shifts"):
    """Tokens coloured by the change of their loss, each with what is predicted after it.

    `spec` is `{"tokens": [{"label", "change", "prediction", "model", "agrees"}], "title", "note"}`; a `change` is in
    nats, of the token that it is written on, null where there is none. `"most"`, if it is there, is where colours end.
    """

    spec = traitlets.Dict().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
