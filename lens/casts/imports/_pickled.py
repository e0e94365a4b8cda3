"""Tensors in pickles, read without running them: what a pickle may say is listed here, all else ends the reading."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from lens.errors import MapsError

__all__ = ["STORAGES", "State", "described", "legacy_storage", "stored", "unpickled", "view"]

Names = Mapping[tuple[str, str], Any]
Persistent = Callable[[Any], Any]

MOST: Final = 20_000  # steps of one pickle: a state dict of 80 layers takes 7,200
MAGIC: Final = 0x1950A86A20F9469CFC6C  # with which PyTorch's format without a zip file begins
TYPES: Final = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
}
STORAGES: Final[Names] = {("torch", name): dtype for name, dtype in TYPES.items()}
PUT: Final = frozenset({"MEMOIZE", "BINPUT", "LONG_BINPUT"})
GET: Final = frozenset({"BINGET", "LONG_BINGET"})
NUMBERS: Final = frozenset({"BININT", "BININT1", "BININT2", "LONG1"})
NAMES: Final = frozenset({"GLOBAL", "STACK_GLOBAL", "SHORT_BINUNICODE", "BINUNICODE"})
TUPLES: Final = frozenset({"EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE", "MARK"})
OTHERS: Final = frozenset(
    {"PROTO", "FRAME", "STOP", "REDUCE", "BUILD", "BINPERSID", "NONE", "NEWTRUE", "NEWFALSE"}
    | {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "EMPTY_DICT", "SETITEM", "SETITEMS"}
)
FLAT: Final = NUMBERS | NAMES
STEPS: Final = FLAT | PUT | GET | TUPLES | OTHERS


def unpickled(file: io.BytesIO, names: Names, persistent: Persistent | None = None) -> Any:
    """What the pickle at the file's place makes, where only `names` exist, each as the stand-in given for it.

    The file is left behind the pickle. MapsError for a step or a name that no map needs, before anything is made.
    """
    start = file.tell()
    _check(file)
    file.seek(start)
    return _Unpickler(file, names, persistent).load()


def _check(file: io.BytesIO) -> None:
    """MapsError unless every step is a known one, and only what has no inside is used twice.

    Tuples that hold one tuple twice, which hold one twice, and so on, take for ever to be hashed.
    """
    flat: dict[int, bool] = {}  # place in the memo → whether what lies there has no inside
    before = ""
    steps: Iterator[tuple[Any, Any, Any]] = pickletools.genops(file)
    for count, (step, argument, _) in enumerate(steps):
        name = step.name
        if name not in STEPS or count >= MOST:
            raise MapsError(f"The pickle has a step ({name}) that no map needs, or too many: nothing was run.")
        if name in PUT:
            place = len(flat) if name == "MEMOIZE" else int(argument)
            if place >= MOST:
                raise MapsError("The pickle keeps more values than any map needs: nothing was run.")
            flat[place] = before in FLAT
        elif name in GET and not flat.get(int(argument)):
            raise MapsError("The pickle uses a value twice that no map uses twice: nothing was run.")
        before = before if name in PUT else name


class _Unpickler(pickle.Unpickler):
    """Knows the names that it is given, and no other."""

    def __init__(self, file: io.BytesIO, names: Names, persistent: Persistent | None) -> None:
        super().__init__(file)
        self._names = names
        self._persistent = persistent

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for an allowed name; MapsError for any other."""
        if (module, name) not in self._names:
            raise MapsError(
                f"The pickle asks for {module[:80]}.{name[:80]}, which no map needs: it is refused, and nothing "
                "was run."
            )
        return self._names[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """What lies outside the pickle, where something may."""
        if self._persistent is None:
            raise MapsError("The pickle refers to something outside of it, which no map needs: it is refused.")
        return self._persistent(pid)


class State(dict[str, Any]):
    """In the place of an OrderedDict, and empty when made; its attributes are of no interest."""

    def __init__(self) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Leave the versions of modules alone."""


def view(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """The part of a storage that a pickled tensor is, with memory of its own; MapsError for one that is larger."""
    if not isinstance(storage, Tensor):
        raise MapsError("The pickle builds a tensor from something that is no storage: it is refused.")
    if not isinstance(size, tuple) or len(size) > 2 or math.prod(size) > storage.numel():
        raise MapsError("The pickle holds a tensor that is larger than its storage, or no matrix: it is refused.")
    return storage.as_strided(size, stride, offset).clone(memory_format=torch.contiguous_format)


def stored(data: memoryview, dtype: Any, count: Any) -> Tensor:
    """Numbers that lie in a file, copied; MapsError unless there are exactly `count` of a type that maps have."""
    if dtype not in TYPES.values() or type(count) is not int or len(data) != count * dtype.itemsize:
        raise MapsError("The pickle's storage is not as large as it says, or not of floating-point numbers.")
    if not count:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype)


def legacy_storage(data: Any) -> Tensor:
    """A storage in PyTorch's format of before zip files, as `pickle.dump` nests it in a tensor."""
    if not isinstance(data, bytes):
        raise MapsError("The pickle's storage is not made of bytes: it is refused.")
    file = io.BytesIO(data)
    magic, _, _ = (_constant(file) for _ in range(3))
    if magic != MAGIC:
        raise MapsError("The pickle's storage is not in PyTorch's format: it is refused.")
    dtype, count = unpickled(file, STORAGES, lambda pid: described(pid)[::2])
    _constant(file)  # the storage's key
    rest = memoryview(data)[file.tell() :]
    if int.from_bytes(rest[:8], sys.byteorder) != count:
        raise MapsError("The pickle's storage says two sizes: it is refused.")
    return stored(rest[8:], dtype, count)


def described(pid: Any) -> tuple[Any, str, Any]:
    """What ("storage", type, key, device, count, …) says: type, key and count."""
    if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage" or not isinstance(pid[2], str):
        raise MapsError("The pickle refers to something that is no storage: it is refused.")
    return pid[1], pid[2], pid[4]


def _constant(file: io.BytesIO) -> Any:
    """Step over a pickle without making it; its first argument."""
    steps = ((step.name, argument) for step, argument, _ in pickletools.genops(file))
    return next((argument for name, argument in list(steps) if name not in ("PROTO", "FRAME")), None)
