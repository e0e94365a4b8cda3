"""Which maps belong to a model."""

from __future__ import annotations

from lens.casts import CARD, Maps, store_folder
from lens.models import Model

__all__ = ["maps_for"]


def maps_for(model: Model, maps: Maps | None = None) -> Maps | None:
    """The maps of `model`, checked against its weights: those given, else those fitted here, else those it came with.

    None if there are none. MapsError if they belong to another model.
    """
    maps = maps or _found(model)
    if maps is not None:
        maps.check(name=model.name, fingerprint=model.fingerprint, n_blocks=model.n_blocks, width=model.width)
    return maps


def _found(model: Model) -> Maps | None:
    folders = [store_folder(model.fingerprint)]
    if model.folder is not None:
        folders.append(model.folder / "maps")
    return next((Maps.load(folder) for folder in folders if (folder / CARD).is_file()), None)
