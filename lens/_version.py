"""The version of the installed distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("layer-lens")
except PackageNotFoundError:  # a copy of the source that was never installed
    __version__ = "unknown"
