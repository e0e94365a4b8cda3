"""A stream of values: each a message with its length before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lens.wire._values import MAX_MESSAGE, Unreadable, decode, encode

__all__ = ["frame", "frames"]

LENGTH = 4  # bytes


def frame(value: Any) -> bytes:
    """A value as one piece of a stream."""
    message = encode(value)
    return len(message).to_bytes(LENGTH, "little") + message


def frames(pieces: Iterable[bytes]) -> Iterator[Any]:
    """The values of a stream, each as soon as it is whole. Unreadable for what is none, or larger than any answer."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= LENGTH:
            size = int.from_bytes(held[:LENGTH], "little")
            if size > MAX_MESSAGE:
                raise Unreadable(f"{size:,} bytes are more than any answer has")
            if len(held) < LENGTH + size:
                break
            message = bytes(held[LENGTH : LENGTH + size])
            del held[: LENGTH + size]
            yield decode(message)
