"""How many bytes of logits are alive at once, so that a long text or a large vocabulary fits."""

from __future__ import annotations

import torch

from lens.models import free_memory

__all__ = ["at_once"]

LEAST, MOST = 64 * 2**20, 2**30  # bytes, on a GPU
SHARE = 16  # of what is free there, one part in so many: their scores take some five times as much


def at_once(device: torch.device, on_cpu: int) -> int:
    """Bytes of float32 logits: `on_cpu`, or many on a GPU, where each piece of work costs the same time to begin."""
    if device.type != "cuda":
        return on_cpu
    return min(MOST, max(LEAST, free_memory(device) // SHARE))
