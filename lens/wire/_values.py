"""Values as bytes: a head of JSON, then the numbers of arrays as they lie in memory.

None, booleans, numbers, text, tuples, lists, dicts, arrays, and the frozen dataclasses that `values` has been told of;
nothing else is written, and nothing else can be read, so that a message is never more than what it says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

import numpy as np

from lens.wire._fits import fits, hints

__all__ = ["MAX_MESSAGE", "Unreadable", "decode", "encode", "values"]

MAX_MESSAGE: Final = 256 * 2**20  # bytes
DTYPES: Final = ("<f8", "<f4", "<i8", "<i4", "|b1", "|u1")
MAX_AXES: Final = 8
MAX_ITEMS: Final = 1_000_000  # commas and brackets: a small message must not become many objects
MAX_DEPTH: Final = 40
HEAD: Final = 4  # bytes that say how long the head is
TYPES: dict[str, Any] = {}  # dataclasses by name


class Unreadable(ValueError):  # noqa: N818 - the sender's fault, said in words by whoever received it
    """Bytes that are no value, or a value that has no bytes."""


def values(*types: type) -> None:
    """Let frozen dataclasses travel, each under its own name. A second claim to a name is refused."""
    for each in types:
        if TYPES.setdefault(each.__name__, each) is not each:
            raise ImportError(f"Two classes named {each.__name__!r} would travel.")


def encode(value: Any) -> bytes:
    """The bytes of a value; Unreadable for what does not travel."""
    arrays: list[np.ndarray] = []
    plain = _plain(value, arrays)
    head = json.dumps(plain, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
    return b"".join([len(head).to_bytes(HEAD, "little"), head, *(array.tobytes() for array in arrays)])


def decode(message: bytes) -> Any:
    """The value of bytes that somebody sent; Unreadable, saying why, where they hold none."""
    size = int.from_bytes(message[:HEAD], "little")
    if len(message) < HEAD + size:
        raise Unreadable("it ends too early")
    said = message[HEAD : HEAD + size]
    if sum(map(said.count, (b",", b"[", b"{"))) > MAX_ITEMS:
        raise Unreadable("it has more parts than any message")
    try:
        head = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"its head is no JSON ({type(error).__name__})") from None
    rest = _Rest(memoryview(message)[HEAD + size :])
    found = _value(head, rest, 0)
    if rest.left:
        raise Unreadable(f"{rest.left} bytes are left over")
    return found


class _Rest:
    """The bytes behind the head, taken from the front, once."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def array(self, dtype: Any, shape: Any) -> np.ndarray:
        sound = isinstance(shape, list) and len(shape) <= MAX_AXES and all(type(n) is int and n >= 0 for n in shape)
        if dtype not in DTYPES or not sound:
            raise Unreadable("an array says no type and shape")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > self.left:
            raise Unreadable("an array is longer than the message")
        begin, self._at = self._at, self._at + size
        return np.frombuffer(self._data[begin : self._at], dtype).reshape(shape).copy()


def _plain(value: Any, arrays: list[np.ndarray]) -> Any:
    """The value as JSON has it; what JSON lacks is an object with one key."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, (list, tuple, range)):
        items = [_plain(item, arrays) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        return {"dict": [[_plain(key, arrays), _plain(item, arrays)] for key, item in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype.str in DTYPES:
        arrays.append(value)
        return {"array": [value.dtype.str, list(value.shape)]}
    if TYPES.get(type(value).__name__) is type(value):
        parts = [_plain(getattr(value, item.name), arrays) for item in fields(value)]
        return {"value": [type(value).__name__, parts]}
    if travels := getattr(value, "travels", None):  # something else stands for it
        return _plain(travels(), arrays)
    raise Unreadable(f"{type(value).__name__} does not travel")


def _value(plain: Any, rest: _Rest, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise Unreadable("it is nested too deep")
    if isinstance(plain, list):
        return [_value(item, rest, depth + 1) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if len(plain) != 1:
        raise Unreadable("an object has not one key")
    ((kind, inside),) = plain.items()
    if kind == "float" and inside in ("nan", "inf", "-inf"):
        return float(inside)
    if kind == "tuple" and isinstance(inside, list):
        return tuple(_value(item, rest, depth + 1) for item in inside)
    if kind == "dict" and isinstance(inside, list):
        return _dict(inside, rest, depth)
    if kind == "array" and isinstance(inside, list) and len(inside) == 2:
        return rest.array(*inside)
    if kind == "value" and isinstance(inside, list) and len(inside) == 2:
        return _made(inside[0], inside[1], rest, depth)
    raise Unreadable(f"there is no kind of value {str(kind)[:40]!r}")


def _dict(pairs: list[Any], rest: _Rest, depth: int) -> dict[Any, Any]:
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise Unreadable("a dict is no list of pairs")
    try:
        return {_value(key, rest, depth + 1): _value(item, rest, depth + 1) for key, item in pairs}
    except TypeError:
        raise Unreadable("a key of a dict can be no key") from None


def _made(name: Any, parts: Any, rest: _Rest, depth: int) -> Any:
    """A dataclass from its parts, each of the type that the class says."""
    made = TYPES.get(name) if isinstance(name, str) else None
    if made is None:
        raise Unreadable(f"there is no type {str(name)[:40]!r}")
    known = fields(made)
    if not isinstance(parts, list) or len(parts) != len(known):
        raise Unreadable(f"{name} has not {len(known)} parts")
    found = {item.name: _value(part, rest, depth + 1) for item, part in zip(known, parts, strict=True)}
    if wrong := [item for item, value in found.items() if not fits(value, hints(made)[item])]:
        raise Unreadable(f"{name}.{wrong[0]} is of another type")
    try:
        return made(**found)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"{name} can't be made ({type(error).__name__})") from None
