"""Maps that others have published, one file a format."""

from __future__ import annotations

from lens.casts.imports._convert import Import, convert

__all__ = ["Import", "convert"]
