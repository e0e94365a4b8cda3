"""Guess the anatomy of a family that has no file, from how language models are usually built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from lens.errors import ModelError
from lens.models._family import Family, Finish, families

__all__ = ["advice", "guesses"]


def guesses(hf: Any) -> Iterator[Family]:
    """Families that may describe a model, likeliest first; raises ModelError if no list of blocks can be its own.

    Looked for: one ModuleList of `num_hidden_layers` modules; a norm beside it or further out; and the head, which is
    what stands beside the base model, or the output embeddings alone. Each way that known families finish is tried.
    """
    blocks = _blocks(hf)
    finishes = dict.fromkeys([None, *(family.finish for family in families()[0].values())])
    for norm in _norms(hf, blocks):
        for head in _heads(hf, blocks):
            for finish in finishes:
                if finish is None or _applies(finish, hf.config.get_text_config()):
                    yield Family((hf.config.model_type,), blocks, (*norm, *head), finish=finish)


def _applies(finish: Finish, config: Any) -> bool:
    """Whether the config has what that finish reads."""
    try:
        finish(torch.zeros(1), config)
    except (AttributeError, TypeError):
        return False
    return True


def _blocks(hf: Any) -> str:
    wanted = hf.config.get_text_config().num_hidden_layers
    lists: dict[str, nn.ModuleList] = {
        path: part for path, part in hf.named_modules() if isinstance(part, nn.ModuleList)
    }
    right = [path for path, part in lists.items() if len(part) == wanted]
    outermost = [path for path in right if not any(path.startswith(other + ".") for other in right)]
    if len(outermost) != 1:
        found = ", ".join(f"{path} ({len(part)})" for path, part in list(lists.items())[:6]) or "none"
        raise ModelError(
            f"There is no family file for {hf.config.model_type!r} models, and the blocks of {type(hf).__name__} were "
            f"not found: one list of {wanted} modules was looked for, and there are {len(outermost)}. "
            f"The lists in it: {found}. {advice()}"
        )
    return outermost[0]


def _norms(hf: Any, blocks: str) -> list[tuple[str, ...]]:
    """Paths of the norms beside the blocks, the last one first, then of those further out, then the lack of one."""
    found: list[tuple[str, ...]] = []
    parent = blocks.rpartition(".")[0]
    while parent:
        beside = [name for name, part in hf.get_submodule(parent).named_children() if _is_norm(part)]
        found += [(f"{parent}.{name}",) for name in reversed(beside)]
        parent = parent.rpartition(".")[0]
    return [*found, ()]


def _is_norm(part: nn.Module) -> bool:
    return "norm" in type(part).__name__.lower()


def _heads(hf: Any, blocks: str) -> list[tuple[str, ...]]:
    base = blocks.partition(".")[0]
    beside = tuple(name for name, _ in hf.named_children() if name != base)
    embeddings = hf.get_output_embeddings()
    alone = tuple(name for name, part in hf.named_modules() if embeddings is not None and part is embeddings)[:1]
    return [head for head in dict.fromkeys([beside, alone]) if head]


def advice() -> str:
    """How to add a family, and which family files failed to import, as one of them may be the file that is missed."""
    broken = "".join(f" {name}.py could not be imported ({reason})." for name, reason in families()[1].items())
    return (
        "To add this family, write one file in lens/models/families that says where its parts are "
        f"(see gpt2.py there).{broken}"
    )
