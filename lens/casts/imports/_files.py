"""A foreign file, read whole and within a bound."""

from __future__ import annotations

from pathlib import Path

from lens.errors import MapsError

__all__ = ["LARGEST", "whole"]

LARGEST = 2**30  # bytes: a strided view drags its whole work buffer along, 37 MB at width 1,024


def whole(path: Path, largest: int = LARGEST) -> bytes:
    """The bytes of a file; MapsError for what is none (a pipe would never end), or is larger than `largest`."""
    try:
        if not path.is_file():
            raise MapsError(f"{path.name} is no ordinary file: it is not opened.")
        if path.stat().st_size > largest:
            raise MapsError(f"{path.name} is larger than {largest:,} bytes: it is no map.")
        return path.read_bytes()
    except OSError as error:
        raise MapsError(f"{path.name} can't be read ({error.strerror}).") from None
