"""Questions and answers between a kernel and a shared engine: values only, and never a pickle."""

from __future__ import annotations

from lens.wire._calls import RECORDING, Call, calls, served
from lens.wire._client import MEDIA, Engine, waiting
from lens.wire._errors import as_value, raised
from lens.wire._fits import fits
from lens.wire._frames import frame, frames
from lens.wire._values import MAX_MESSAGE, Unreadable, decode, encode, values

__all__ = [
    "MAX_MESSAGE",
    "MEDIA",
    "RECORDING",
    "Call",
    "Engine",
    "Unreadable",
    "as_value",
    "calls",
    "decode",
    "encode",
    "fits",
    "frame",
    "frames",
    "raised",
    "served",
    "values",
    "waiting",
]
