"""Models that the sessions of one process hold together, so that the weights are in memory once.

Where who runs lens has named a shared engine, in LENS_ENGINE, models are there.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from lens.models import Model, load, resolve

__all__ = ["together"]

_held: WeakValueDictionary[Hashable, Model] = WeakValueDictionary()
_lock = Lock()


def together(name: str) -> Model:
    """The model called `name`: the one that a session here already holds, if its files are still the same."""
    engine = os.environ.get("LENS_ENGINE") or None
    key: Hashable = (name, engine) if engine else _here(name)
    with _lock:
        model = _held.get(key)
        if model is None:
            model = _held[key] = load(name, engine=engine)
    return model


def _here(name: str) -> Hashable:
    source = resolve(name)
    return name, source.location, _state(source.folder)


def _state(folder: Path | None) -> Hashable:
    """What changes when somebody writes another model into the folder."""
    files = folder.glob("*") if folder and folder.is_dir() else ()
    stats = [(file.name, file.stat()) for file in files if file.is_file()]
    return tuple(sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))
