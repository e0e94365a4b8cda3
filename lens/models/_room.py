"""Whether there is room for a model in memory, asked before its weights are read."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch

from lens._memory import main_memory_free
from lens.errors import ModelError

__all__ = ["Free", "free_memory", "needed", "placement"]

Free = Callable[[torch.device], int]

CPU = torch.device("cpu")
GIGABYTE = 1e9
ROOM = 1.1  # a tenth more than the weights, for the work that is done with them
QUANTISED = {"int8": 1.0, "int4": 0.5}


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
    """Bytes free on a device; on a GPU with what PyTorch keeps there for this process and does not use."""
    if place.type == "cuda":
        kept = torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)
        return int(torch.cuda.mem_get_info(place)[0]) + kept
    return main_memory_free()


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
