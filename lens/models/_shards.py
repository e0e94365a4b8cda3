"""Weights in several files: an index names them, and whoever wrote it may have named anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lens._source import Source
from lens.errors import ModelError

__all__ = ["check_shards", "index_name"]

WHOLE = "model.safetensors"  # comes before an index, where there are both
INDEX = "model.safetensors.index.json"
LARGEST = 64 * 2**20  # bytes; that of the largest models has a tenth


def index_name(config: Any) -> str | None:
    """The index that transformers would look for; None where the config names a single file."""
    named = getattr(config, "transformers_weights", None)
    return INDEX if named is None else named if str(named).endswith(".index.json") else None


def check_shards(source: Source, index: Path) -> None:
    """Raise ModelError for an index whose files are no safetensors files beside it: others are unpickled, or wait."""
    if not index.is_file() or (source.folder and index.name == INDEX and (source.folder / WHOLE).is_file()):
        return
    if index.stat().st_size > LARGEST:
        raise ModelError(f"The index of {source.name}'s weights is larger than {LARGEST >> 20} MB: it is no index.")
    for shard in _named(index):
        plain = isinstance(shard, str) and shard == Path(shard).name and shard.endswith(".safetensors")
        if not plain or (source.folder and not (source.folder / shard).is_file()):
            raise ModelError(
                f"The index of {source.name}'s weights names {str(shard)[:200]!r}; each must be a .safetensors file "
                "beside it. Write the model again by save_pretrained, or choose another."
            )


def _named(index: Path) -> list[Any]:
    """The files that the index names; none where it is no index, which transformers says itself."""
    try:
        found = list(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return list(dict.fromkeys(map(str, found))) if all(isinstance(name, str) for name in found) else found
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
