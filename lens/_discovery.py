"""A folder is a registry: each module in it defines one thing under one agreed name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

__all__ = ["discover"]


def discover(
    package: str, attribute: str, names: Callable[[Any], tuple[str, ...]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Import every public module of `package` and collect its `attribute`.

    Returns `(found, broken)`: what each name claims, and for each module that failed to import or lacks the
    attribute, why. Raises ImportError if two modules claim one name.
    """
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    broken: dict[str, str] = {}
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if info.name.startswith("_") or info.ispkg:
            continue
        try:
            thing = getattr(importlib.import_module(f"{package}.{info.name}"), attribute)
        except Exception as error:  # noqa: BLE001 - one broken file must not take the others with it
            broken[info.name] = f"{type(error).__name__}: {error}"
            continue
        for name in names(thing):
            if name in owners:
                raise ImportError(f"{package}: both {owners[name]!r} and {info.name!r} claim the name {name!r}")
            owners[name] = info.name
            found[name] = thing
    return found, broken
