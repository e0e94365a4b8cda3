"""Whether there is room for a model in memory, asked before its weights are read."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import torch

from lens.errors import ModelError

__all__ = ["Free", "cgroup_free", "free_memory", "needed", "placement"]

Free = Callable[[torch.device], int]

CPU = torch.device("cpu")
GIGABYTE = 1e9
ROOM = 1.1  # a tenth more than the weights, for the work that is done with them
QUANTISED = {"int8": 1.0, "int4": 0.5}
UNLIMITED = 1 << 60  # cgroup v1 says "no limit" with a number of this size


def needed(skeleton: Any, dtype: torch.dtype | str) -> int:
    """Bytes of a model: 4 or 2 a weight, 1 or ½ in the matrices of an int8 or int4 model; and its tables, as masks."""
    tables = sum(table.numel() * table.element_size() for table in skeleton.buffers())
    weights = sum(tensor.numel() * _bytes_each(tensor, dtype) for tensor in skeleton.parameters())
    return int(tables + weights)


def _bytes_each(parameter: Any, dtype: torch.dtype | str) -> float:
    if isinstance(dtype, str):
        return QUANTISED[dtype] if parameter.ndim == 2 else 2.0
    return float(dtype.itemsize)


def free_memory(place: torch.device) -> int:
    """Bytes free on a device; on the CPU also within what a container, batch system or `ulimit -v` allows.

    On a GPU with what PyTorch keeps there for this process and does not use.
    """
    if place.type == "cuda":
        kept = torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)
        return int(torch.cuda.mem_get_info(place)[0]) + kept
    return min(int(psutil.virtual_memory().available), cgroup_free(Path("/")), _within_ulimit())


def _within_ulimit() -> int:
    """Bytes that `ulimit -v` leaves this process, as some clusters set it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return UNLIMITED
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    return UNLIMITED if allowed == resource.RLIM_INFINITY else max(0, allowed - int(psutil.Process().memory_info().vms))


def cgroup_free(root: Path) -> int:
    """Bytes that the control groups of this process leave it (both versions), read under `root`."""
    return min((_left(*files) for files in _limits(root)), default=UNLIMITED)


def _limits(root: Path) -> list[tuple[Path, Path, Path]]:
    """For this process's groups and those they are in: the files with the limit, the usage and the details."""
    found = []
    listing = root / "proc/self/cgroup"
    for line in listing.read_text().splitlines() if listing.is_file() else []:
        _, controllers, inside = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        base = root / "sys/fs/cgroup" / controllers
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        relative = Path(inside.lstrip("/"))
        groups = [base / part for part in (relative, *relative.parents)]
        found += [(group / names[0], group / names[1], group / "memory.stat") for group in groups]
    return found


def _left(limit: Path, usage: Path, details: Path) -> int:
    try:
        allowed, used = limit.read_text().strip(), int(usage.read_text())
    except (OSError, ValueError):  # the root group has no limit; a container may hide the outer ones
        return UNLIMITED
    if allowed == "max" or int(allowed) >= UNLIMITED:
        return UNLIMITED
    return max(0, int(allowed) - used + _reclaimable(details))


def _reclaimable(details: Path) -> int:
    """File pages kept only for speed: they count as used, but are given up when memory is asked for."""
    lines = details.read_text().splitlines() if details.is_file() else []
    found = dict(line.split() for line in lines)
    return int(found.get("total_inactive_file", found.get("inactive_file", 0)))


def placement(name: str, bytes_needed: int, place: torch.device, free: Free = free_memory) -> dict[str, Any]:
    """Where the weights go, as options of `from_pretrained`; raises ModelError with both figures if they cannot fit."""
    wanted = int(bytes_needed * ROOM)
    if place.type != "cuda":
        _require(name, wanted, free(CPU), "memory is")
        return {}
    if wanted > free(place) and place == torch.device("cuda") and torch.cuda.device_count() > 1:
        return _spread(name, wanted, free)
    _require(name, wanted, free(place), "GPU memory is")
    if find_spec("accelerate"):
        return {"device_map": {"": place}}  # read straight onto the GPU
    _require(name, wanted, free(CPU), "main memory (through which weights reach the GPU without accelerate) is")
    return {}


def _spread(name: str, wanted: int, free: Free) -> dict[str, Any]:
    each = {index: free(torch.device("cuda", index)) for index in range(torch.cuda.device_count())}
    _require(name, wanted, sum(each.values()), "GPU memory, all GPUs together, is")
    if not find_spec("accelerate"):
        raise ModelError(
            f"{name} fits only on several GPUs together, and for that the package accelerate is needed: "
            "pip install 'layer-lens[large]'."
        )
    return {"device_map": "auto", "max_memory": each}


def _require(name: str, wanted: int, there: int, where: str) -> None:
    if wanted > there:
        raise ModelError(
            f"{name} needs about {wanted / GIGABYTE:.2f} GB, but only {there / GIGABYTE:.2f} GB of {where} free. "
            "Choose a smaller model, or dtype='bfloat16' (half of float32) or, on an NVIDIA GPU, 'int8' or 'int4'."
        )
