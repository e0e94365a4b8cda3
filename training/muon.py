"""Muon: momentum whose update is made orthogonal, so that every direction of a matrix learns at the same pace."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor


def orthogonalize(x: Tensor, steps: int = 5) -> Tensor:
    """Push all singular values of a stack of matrices (n, rows <= columns) close to one (Newton-Schulz)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def blocks(matrix: Tensor) -> Iterable[Tensor]:
    """GPT-2 keeps query, key and value side by side in one matrix; they are three matrices to Muon."""
    return matrix.chunk(3, dim=1) if matrix.shape[1] == 3 * matrix.shape[0] else (matrix,)


class Muon(torch.optim.Optimizer):
    """For the matrices inside the blocks. Steps are scaled to the size AdamW's would have, whatever the shape."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of every matrix."""
        for group in self.param_groups:
            stacks = defaultdict(list)  # matrices of one shape are orthogonalized together
            for p in group["params"]:
                average = self.state[p].setdefault("momentum", torch.zeros_like(p))
                average.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(average, group["momentum"])  # Nesterov
                for target, block in zip(blocks(p), blocks(update), strict=True):
                    if block.shape[0] > block.shape[1]:
                        target, block = target.mT, block.mT
                    stacks[block.shape].append((target, block))
            for shape, pairs in stacks.items():
                stack = torch.stack([block for _, block in pairs])
                if stack.is_cuda:
                    stack = stack.bfloat16()
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                for (target, _), update in zip(pairs, orthogonalize(stack), strict=True):
                    target.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update.to(target.dtype), alpha=scale)
