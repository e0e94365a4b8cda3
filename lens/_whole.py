"""Files that are whole or not there: whatever happens in between, what was there before stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["whole_file", "write_whole"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place at the end; raises OSError where that can't be."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside
        beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text, as UTF-8, so that a full disk or a kill leaves the file as it was; raises OSError."""
    if path.exists() and not path.is_file():  # a device or a pipe, such as /dev/stdout, is written to as it is
        path.write_text(text, encoding="utf-8")
        return
    with whole_file(path.resolve()) as beside:  # through a link, to what it points to
        beside.write_text(text, encoding="utf-8")
