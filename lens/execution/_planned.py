"""A plan as a Hugging Face model: its forward, loss and generate, on the weights of the model it was made from."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any

from torch import Tensor

from lens.casts import Maps
from lens.errors import LensError
from lens.execution._interpreter import execute
from lens.execution._run import prepared
from lens.models import CACHE_NAMES, Model, Replay, cache_name
from lens.plans import Plan

__all__ = ["as_model"]


def as_model(model: Model, plan: str | Plan, *, maps: Maps | None = None) -> Any:
    """A `PreTrainedModel` that computes `plan` wherever `model.hf` would run its blocks: forward, loss, generate.

    It is an instance of the model's own class and shares all weights with it; embeddings, masks, head and loss are the
    model's own code, and its cache has a slot for each time that a block runs. Like every model of lens it is frozen.
    Raises PlanError for a plan that does not fit, MapsError for maps that are missing, LensError for an unknown cast.
    """
    plan, maps = prepared(model, plan, maps)
    hf = model.hf
    planned = copy.copy(hf)  # shallow: the same modules, the same tensors
    own = type(hf)

    name = cache_name(own) if model.kind == "causal" else None
    signature = inspect.signature(own.forward)

    @functools.wraps(own.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = signature.bind_partial(self, *args, **_renamed(kwargs, name))
        cache = None
        if name is not None:
            cache = given.arguments[name] = _cache(self, model, plan, given.arguments, name)

        def onward(calls: tuple[Any, ...], stream: Tensor) -> Tensor:
            end = execute(Replay(model, calls), plan, maps=maps, stream=stream)[-1]
            if cache is not None:
                cache.seen += stream.shape[1]
            return end

        with model.diverted(onward):
            return own.forward(*given.args, **given.kwargs)

    planned.__class__ = type(f"Planned{own.__name__}", (own,), {"forward": forward, "__module__": own.__module__})
    planned.plan = str(plan)
    return planned


def _renamed(kwargs: dict[str, Any], name: str | None) -> dict[str, Any]:
    """The arguments with keys and values under the name that this release knows them by, unless it is among them."""
    if name is None or name in kwargs:
        return kwargs
    return {name if key in CACHE_NAMES else key: value for key, value in kwargs.items()}


def _cache(planned: Any, model: Model, plan: Plan, arguments: dict[str, Any], name: str) -> Any:
    """The cache to use: the plan's own where one is wanted, as Hugging Face's has a slot a block."""
    cache = arguments.get(name)
    if getattr(cache, "plan", None) == plan:
        return cache
    if cache is not None and cache.get_seq_length() > 0:
        raise LensError("These keys and values are of another plan; begin without a cache.")
    if cache is None and not _wanted(planned, arguments):
        return None
    fresh = model.slots(plan.applications, cache)
    fresh.plan = plan
    return fresh


def _wanted(planned: Any, arguments: dict[str, Any]) -> bool:
    wanted = arguments.get("use_cache")
    return bool(getattr(planned.config.get_text_config(), "use_cache", False) if wanted is None else wanted)
