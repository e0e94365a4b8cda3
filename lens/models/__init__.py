"""Hugging Face language models as they are: load, record one forward, replay its blocks, read out its last stream."""

from __future__ import annotations

from lens._source import embedded, resolve
from lens.models._apart import apart, likeness, separable
from lens.models._family import Family
from lens.models._model import Model, load
from lens.models._recording import Recording, Replay
from lens.models._remote import RemoteModel
from lens.models._room import free_memory
from lens.models._slots import CACHE_NAMES, cache_name
from lens.models._text import Tokens

__all__ = [
    "CACHE_NAMES",
    "Family",
    "Model",
    "Recording",
    "RemoteModel",
    "Replay",
    "Tokens",
    "apart",
    "cache_name",
    "embedded",
    "free_memory",
    "likeness",
    "load",
    "resolve",
    "separable",
]
