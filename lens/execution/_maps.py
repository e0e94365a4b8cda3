"""Which maps belong to a model."""

from __future__ import annotations

from pathlib import Path

from lens.casts import CARD, Maps, store_folder
from lens.errors import MapsError
from lens.models import Model
from lens.wire import served

__all__ = ["keep_maps", "maps_for"]


@served(quick=True)
def maps_for(model: Model, maps: Maps | None = None) -> Maps | None:
    """The maps of `model`, checked against its weights: those given, else those fitted here, else those it came with.

    None if there are none. MapsError if they belong to another model.
    """
    maps = _found(model) if maps is None else maps
    if maps is not None:
        if not isinstance(maps, Maps):
            raise MapsError(f"maps is {maps!r:.60}: give those of lens.fit or lens.Maps.load, or leave it out.")
        maps.check(name=model.name, fingerprint=model.fingerprint, n_blocks=model.n_blocks, width=model.width)
    return maps


def keep_maps(model: Model, maps: Maps) -> Path | None:
    """Save maps where `maps_for` finds them for this user, and give the folder; MapsError if that can't be done.

    None for a model on a shared engine, which keeps a visitor's maps for that visitor, and for a while.
    """
    return None if model.remote else maps.save(store_folder(model.fingerprint))


def _found(model: Model) -> Maps | None:
    folders = [store_folder(model.fingerprint)]
    if model.folder is not None:
        folders.append(model.folder / "maps")
    return next((Maps.load(folder) for folder in folders if (folder / CARD).is_file()), None)
