"""Casts by name."""

from __future__ import annotations

import re

import pytest

from lens.casts import cast_named, casts
from lens.errors import LensError


def test_an_unknown_cast_is_refused_with_those_there_are_and_nothing_else() -> None:
    """A folder beside the casts is none of them, and no file that failed."""
    known = ", ".join(sorted(casts()))
    with pytest.raises(LensError, match=re.escape(f"There is no cast called 'magic'. Casts are {known}.") + "$"):
        cast_named("magic")
