"""Checkpoints of the tuned-lens package: config.json beside params.pt, one affine translator a layer."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch
from torch import Tensor

from lens.casts.imports._convert import Found, Import
from lens.casts.imports._files import whole
from lens.casts.imports._pickled import STORAGES, State, described, stored, unpickled, view
from lens.errors import MapsError

__all__ = ["IMPORT", "load_state"]

LAYERS = 9_999
LARGEST = 2**34  # bytes: 80 layers of width 5,120 take 8.4 GB
CONFIG = 2**20  # bytes of config.json
NAMES = {("torch._utils", "_rebuild_tensor_v2"): view, ("collections", "OrderedDict"): State, **STORAGES}


def load_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, as `torch.save` writes one; nothing but tensors is ever made of what it says.

    MapsError for a file that is none, or that unpacks to more than it is.
    """
    data = whole(path, LARGEST)
    with ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != ZIP_STORED for entry in entries):
            raise MapsError(f"{path.name} is compressed, which PyTorch never does: it is refused.")
        if sum(entry.file_size for entry in entries) > len(data):
            raise MapsError(f"{path.name} holds more than it is large: it is refused.")
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")

        unused = {entry.filename for entry in entries}

        def storage(pid: Any) -> Tensor:
            dtype, key, count = described(pid)
            unused.remove(f"{root}data/{key}")  # each once, or a small file makes many large tensors
            return stored(memoryview(archive.read(f"{root}data/{key}")), dtype, count)

        state = unpickled(io.BytesIO(archive.read(f"{root}data.pkl")), NAMES, storage)
    if not isinstance(state, State) or not all(isinstance(value, Tensor) for value in state.values()):
        raise MapsError(f"{path.name} holds something else than tensors.")
    return state


def _layers(folder: Path) -> int:
    layers = json.loads(whole(folder / "config.json", CONFIG))["num_hidden_layers"]
    if type(layers) is not int or not 1 <= layers <= LAYERS:
        raise MapsError(f"config.json says {layers!r:.40} layers: a whole number from 1 to {LAYERS:,} is needed.")
    return layers


def _read(folder: Path) -> Iterator[Found]:
    """Translator ℓ reads hidden state ℓ, and gives h + W h + b as the last one before the final norm."""
    try:
        layers, state = _layers(folder), load_state(folder / "params.pt")
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
