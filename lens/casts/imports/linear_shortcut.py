"""The maps published with "Jump to Conclusions": `<source>_<target>.pickle`, one pickled tensor A each, ĥ = A h."""

from __future__ import annotations

import collections
import io
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lens.casts.imports._convert import Found, Import
from lens.errors import MapsError

__all__ = ["IMPORT", "load_tensor"]

FILE = re.compile(r"(\d{1,4})_(\d{1,4})\.pickle")
LARGEST = 2**30  # bytes: a strided view drags its whole work buffer along, 37 MB at width 1,024


def load_tensor(path: Path) -> Tensor:
    """The tensor pickled in a file, contiguous and with memory of its own; MapsError for whatever else is in it.

    A pickle is a program. Three names are let through, each to a function of ours that checks what it is given;
    any other name, and any persistent id, ends the loading before anything is called.
    """
    if path.stat().st_size > LARGEST:
        raise MapsError(f"{path.name} is larger than {LARGEST >> 30} GB: it is no map.")
    try:
        with path.open("rb") as file:
            tensor = _Tensors(file).load()
    except MapsError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken pickle may fail in any way
        raise MapsError(f"{path.name} is no pickled tensor, or only part of one ({type(error).__name__}).") from None
    if not isinstance(tensor, Tensor):
        raise MapsError(f"{path.name} holds {type(tensor).__name__}, and a tensor was expected.")
    return tensor.clone(memory_format=torch.contiguous_format)


class _Tensors(pickle.Unpickler):
    """Lets pass what a pickled CPU tensor consists of."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for an allowed name; MapsError for any other."""
        allowed: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor_v2"): _view,
            ("torch.storage", "_load_from_bytes"): _storage,
            ("collections", "OrderedDict"): collections.OrderedDict,
        }
        if (module, name) not in allowed:
            raise MapsError(
                f"The pickle asks for {module}.{name}, which no map needs: it is refused, and nothing was run."
            )
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """No map has any."""
        raise MapsError("The pickle refers to something outside of it, which no map needs: it is refused.")


def _storage(data: bytes) -> Any:
    """The storage in PyTorch's own format, read in the mode that runs nothing."""
    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")


def _view(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    """The part of the storage that the tensor is; torch itself refuses one that reaches beyond it."""
    if not isinstance(storage, torch.storage.TypedStorage):
        raise MapsError("The pickle builds a tensor from something that is no storage: it is refused.")
    whole = torch.tensor([], dtype=storage.dtype).set_(storage)
    return whole.as_strided(tuple(size), tuple(stride), offset)


def _files(folder: Path) -> list[tuple[int, int, Path]]:
    found = ((FILE.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), int(match[2]), path) for match, path in found if match)


def _read(folder: Path) -> Iterator[Found]:
    for source, target, path in _files(folder):
        yield "mat", source, target, {"matrix": load_tensor(path)}


IMPORT = Import(
    name="linear-shortcut",
    title='pickles of "Jump to Conclusions" (<source>_<target>.pickle)',
    recognises=lambda folder: bool(_files(folder)),
    read=_read,
)
