"""Sentences from files that a person names on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lens.errors import TextError

__all__ = ["read_texts"]


def read_texts(files: Sequence[Path], limit: int | None = None) -> list[str]:
    """The sentences of all files: one a line, or the strings of a list in a .json file; at most `limit` of them.

    TextError, naming the file, for what cannot be read as text.
    """
    texts = [text for path in files for text in _one(path) if text.strip()]
    if not texts:
        raise TextError(f"There is no text in {', '.join(path.name for path in files)}.")
    return texts if limit is None else texts[:limit]


def _one(path: Path) -> list[str]:
    try:
        content = path.read_text(encoding="utf-8")
        found = json.loads(content) if path.suffix == ".json" else content.splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8" if path.suffix != ".json" else error
        raise TextError(f"{str(path)!r} can't be read ({reason}). Give sentences, one a line.") from None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise TextError(f"{str(path)!r} is no list of sentences. Give a list of strings, or one sentence a line.")
    return found
