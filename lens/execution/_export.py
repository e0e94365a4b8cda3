"""A plan without parallel stages as a model that others can load: a mergekit file, or a checkpoint."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from lens._memory import ran_out
from lens.errors import LensError, PlanError
from lens.execution._planned import as_model
from lens.models import Model
from lens.plans import Blocks, Plan

__all__ = ["save_checkpoint", "to_mergekit"]

SAMPLE = "The cat sat on the mat, and it purred."
LONG = 520  # tokens: more than the windows of the families that choose them by a block's place alone


def to_mergekit(model: Model, plan: str | Plan, *, dtype: str = "float32") -> str:
    """The plan as a YAML file for mergekit's `passthrough` merge: one slice for each run of neighbouring blocks.

    Raises PlanError where the plan holds more than true blocks.
    """
    lines = ["# written by lens: " + str(plan), "merge_method: passthrough", f"dtype: {dtype}", "slices:"]
    for first, last in _runs(_order(model, plan)):
        lines += [
            "  - sources:",
            f"      - model: {_quoted(model.name)}",
            f"        layer_range: [{first}, {last + 1}]",
        ]
    return "\n".join(lines) + "\n"


def save_checkpoint(model: Model, plan: str | Plan, folder: str | Path) -> Path:
    """Save the plan as a Hugging Face checkpoint, with the tokenizer, whose blocks are copies in the plan's order.

    The saved model is read again and compared with the plan before it is left there, as some families choose a block's
    mask by its place: then, and for a plan that holds more than true blocks, a LensError says so and nothing is left.
    """
    order, folder = _order(model, plan), Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise LensError(f"{folder} is not empty: give a new folder.")
    if len(model.anatomy.blocks) < model.n_blocks:
        raise LensError(
            f"{model.name} runs the same block again and again, so that a checkpoint holds no order. Use lens.as_model."
        )
    other = _reordered(model, order)
    saved = other.save_pretrained, model.tokenizer.save_pretrained
    _save_whole(folder, *saved, lambda beside: _check(model, plan, beside))
    return folder


def _reordered(model: Model, order: list[int]) -> Any:
    """The model with copies of its blocks in that order, to be saved: what a block knows of its place is as it was."""
    other = copy.deepcopy(model.hf)
    parent, _, name = model.anatomy.family.blocks.rpartition(".")
    blocks = nn.ModuleList([copy.deepcopy(model.anatomy.blocks[block]) for block in order])
    setattr(other.get_submodule(parent), name, blocks)
    config = other.config.get_text_config()
    config.num_hidden_layers = len(order)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[block] for block in order]
    return other


def _save_whole(folder: Path, *savers: Callable[[Path], Any]) -> None:
    """All files beside the folder first, then into it, the config last: without that there is no model to be read."""
    beside = folder.resolve().with_name(f".{folder.resolve().name}.{os.getpid()}.tmp")
    try:
        beside.mkdir(parents=True)  # fails where a process that died left one: its files are none of this model's
        for save in savers:
            save(beside)
        folder.mkdir(exist_ok=True)
        for path in sorted(beside.iterdir(), key=lambda path: path.name == "config.json"):
            path.replace(folder / path.name)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LensError(f"{str(folder)!r} could not be written ({reason}). Give another folder.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check(model: Model, plan: str | Plan, folder: Path) -> None:
    """LensError unless what was saved, read as anyone would read it, computes the plan."""
    ids = torch.tensor([(model.encode(SAMPLE).ids * LONG)[: min(LONG, model.context or LONG)]], device=model.device)
    try:
        again = type(model.hf).from_pretrained(folder, dtype=model.dtype).to(model.device).eval()
        with torch.no_grad():
            saved, wanted = again(input_ids=ids).logits, as_model(model, plan)(input_ids=ids).logits
        same = torch.allclose(saved, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
    except (ValueError, RuntimeError) as error:  # a config that does not go with so many blocks
        if ran_out(error):
            raise
        same = False
    if not same:
        raise LensError(
            f"A {model.config.model_type} model with its blocks in that order does not do what the plan does, as it "
            "chooses masks or positions by a block's place. Use lens.as_model, which is right for every family."
        )


def _order(model: Model, plan: str | Plan) -> list[int]:
    plan = (plan if isinstance(plan, Plan) else Plan.parse(plan)).check(model.n_blocks)
    order = []
    for stage in plan.flat:
        if not isinstance(stage, Blocks) or stage.part is not None:
            raise PlanError(f"{stage} cannot be exported: a checkpoint holds true blocks in a row, nothing else")
        order.append(stage.first)
    return order


def _runs(order: list[int]) -> list[tuple[int, int]]:
    """Neighbours that count up, as (first, last)."""
    runs = []
    for _, group in groupby(enumerate(order), lambda pair: pair[1] - pair[0]):
        members = [block for _, block in group]
        runs.append((members[0], members[-1]))
    return runs


def _quoted(name: str) -> str:
    return json.dumps(name)  # a JSON string is a YAML string
