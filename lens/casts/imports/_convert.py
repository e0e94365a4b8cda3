"""What a foreign format is, and how a folder in one becomes maps."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from lens._discovery import discover
from lens._version import __version__
from lens.casts._card import Card
from lens.casts._maps import Maps
from lens.errors import MapsError

__all__ = ["Found", "Import", "convert"]

Found = tuple[str, int, int, dict[str, Tensor]]  # cast, source, target, tensors by name


@dataclass(frozen=True)
class Import:
    """A format of published maps; one file in `lens/casts/imports` each."""

    name: str
    title: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Iterator[Found]]


@cache
def _formats() -> tuple[dict[str, Any], dict[str, str]]:
    return discover("lens.casts.imports", "IMPORT", lambda found: (found.name,))


def convert(
    folder: str | os.PathLike[str],
    *,
    name: str,
    fingerprint: str,
    n_blocks: int,
    width: int,
    revision: str | None = None,
) -> Maps:
    """The maps in a folder of a published format, for the model that is named; nothing in the files is ever run.

    Published maps say neither which weights they are of nor how they were scored, so the model is given, and their card
    holds no scores. MapsError where the folder is of no known format, or its maps do not fit the model.
    """
    folder = Path(folder)
    formats = _formats_of(folder)
    if not formats:
        known = "; ".join(found.title for found in _formats()[0].values())
        raise MapsError(f"{folder.name!r} is no folder of published maps. Known are: {known}.")
    tensors: dict[str, Tensor] = {}
    for cast, source, target, parts in formats[0].read(folder):
        for part, tensor in parts.items():
            if tensor.shape not in ((width, width), (width,)) or not 0 <= source < target <= n_blocks:
                raise MapsError(
                    f"The map {source} → {target} of shape {tuple(tensor.shape)} does not fit {name}: "
                    f"{n_blocks} blocks of width {width}. Name the model that these maps were made for."
                )
            tensors[f"{cast}.{source}.{target}.{part}"] = tensor.float().contiguous()
    if not tensors:
        raise MapsError(f"{folder.name!r} holds no maps.")
    card = Card(
        model=name,
        revision=revision,
        fingerprint=fingerprint,
        n_blocks=n_blocks,
        width=width,
        corpus=f"imported ({formats[0].title})",
        corpus_sha256="",
        positions="one",
        sentences=0,
        tokens=0,
        heldout_corpus="not scored",
        heldout_sentences=0,
        heldout_tokens=0,
        seed=0,
        version=__version__,
    )
    return Maps(card, tensors)


def _formats_of(folder: Path) -> list[Import]:
    try:
        return [found for found in _formats()[0].values() if folder.is_dir() and found.recognises(folder)]
    except OSError as error:
        raise MapsError(f"The folder {folder.name!r} can't be read ({error.strerror}).") from None
