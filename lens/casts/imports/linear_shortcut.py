"""The maps published with "Jump to Conclusions": `<source>_<target>.pickle`, one pickled tensor A each, ĥ = A h."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from lens.casts.imports._convert import Found, Import
from lens.casts.imports._files import whole
from lens.casts.imports._pickled import State, legacy_storage, unpickled, view
from lens.errors import MapsError

__all__ = ["IMPORT", "load_tensor"]

FILE = re.compile(r"(\d{1,4})_(\d{1,4})\.pickle")
NAMES = {
    ("torch._utils", "_rebuild_tensor_v2"): view,
    ("torch.storage", "_load_from_bytes"): legacy_storage,
    ("collections", "OrderedDict"): State,  # of backward hooks
}


def load_tensor(path: Path) -> Tensor:
    """The tensor pickled in a file, contiguous and with memory of its own; MapsError for whatever else is in it.

    A pickle is a program. Its steps are checked before one is taken, and three names are let through, each to a
    function of ours that checks what it is given; any other ends the loading before anything is called.
    """
    try:
        tensor = unpickled(io.BytesIO(whole(path)), NAMES)
    except MapsError:
        raise
    except Exception as error:  # noqa: BLE001 - a broken pickle may fail in any way
        raise MapsError(f"{path.name} is no pickled tensor, or only part of one ({type(error).__name__}).") from None
    if not isinstance(tensor, Tensor):
        raise MapsError(f"{path.name} holds {type(tensor).__name__}, and a tensor was expected.")
    return tensor


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
