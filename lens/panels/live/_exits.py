"""Where each token of a sentence leaves the model."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Picture

__all__ = ["Exits"]


class Exits(Picture, asset="exits"):
    """Tokens coloured by the layer that they leave at, each with what is predicted there.

    `spec` is `{"tokens": [{"label", "layer", "confidence", "threshold", "prediction", "model", "agrees"}], "layers",
    "note"}`, `layers` being the last layer. Sends `{"kind": "pick", "position": i}`.
    """

    spec = traitlets.Dict().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
