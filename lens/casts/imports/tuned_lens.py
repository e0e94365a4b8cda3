"""Checkpoints of the tuned-lens package: config.json beside params.pt, one affine translator a layer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch

from lens.casts.imports._convert import Found, Import
from lens.errors import MapsError

__all__ = ["IMPORT"]


def _read(folder: Path) -> Iterator[Found]:
    """Translator ℓ reads hidden state ℓ, and gives h + W h + b as the last one before the final norm."""
    try:
        layers = int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"])
        state = torch.load(folder / "params.pt", weights_only=True, map_location="cpu")
        found = [(layer, state[f"{layer}.weight"], state.get(f"{layer}.bias")) for layer in range(layers)]
    except Exception as error:  # noqa: BLE001 - a foreign file may fail in any way
        raise MapsError(f"{folder.name!r} is no whole checkpoint of a tuned lens ({error!r:.200}).") from None
    for layer, weight, bias in found:
        yield "tuned", layer, layers, {"matrix": weight, "bias": torch.zeros(len(weight)) if bias is None else bias}


IMPORT = Import(
    name="tuned-lens",
    title="checkpoints of tuned-lens (config.json and params.pt)",
    recognises=lambda folder: (folder / "config.json").is_file() and (folder / "params.pt").is_file(),
    read=_read,
)
