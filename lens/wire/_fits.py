"""Whether a value that came over the wire is of the type that a signature or a dataclass names."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

__all__ = ["fits", "hints"]


@cache
def hints(of: Any) -> dict[str, Any]:
    """The types that a function or a class names."""
    return get_type_hints(of)


def fits(value: Any, hint: Any) -> bool:
    """Whether `value` is of a type as Python writes it; False for any type that no message can hold."""
    origin, inside = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inside)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inside)
    if hint is None or hint is types.NoneType:
        return value is None
    if hint in (int, float):
        return type(value) is int or (hint is float and type(value) is float)
    if origin is np.ndarray:
        return isinstance(value, np.ndarray)
    if origin is tuple and inside[-1:] != (...,):
        sound = isinstance(value, (tuple, list)) and len(value) == len(inside)
        return sound and all(fits(item, each) for item, each in zip(value, inside, strict=True))
    if origin in (tuple, list, Sequence):
        held = origin if origin is not Sequence else (tuple, list)
        return isinstance(value, held) and all(fits(item, inside[0]) for item in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(
            fits(key, inside[0]) and fits(item, inside[1]) for key, item in value.items()
        )
    return origin is None and isinstance(hint, type) and isinstance(value, hint)
