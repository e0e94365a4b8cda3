"""Writing on under a plan, token by token."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import index
from typing import Any

import torch
from torch import Tensor

from lens._limits import DEFAULTS, higher, limit
from lens._memory import memory_in_words
from lens.casts import Maps
from lens.errors import LensError, TextError
from lens.execution._planned import as_model
from lens.models import Model, Tokens, cache_name
from lens.numerics import NO_TOKEN, Ended, Generation, top_1
from lens.plans import Plan
from lens.wire import served

__all__ = ["MAX_NEW_TOKENS", "generate", "generation"]

MAX_NEW_TOKENS = DEFAULTS["new_tokens"]


@served()
@memory_in_words
def generate(
    model: Model,
    text: str,
    plan: str | Plan | None = None,
    *,
    max_new_tokens: int = 32,
    temperature: float = 0.0,
    seed: int = 0,
    maps: Maps | None = None,
    stream: Callable[[Generation], None] | None = None,
) -> Generation:
    """Let `model` write on from `text` under `plan` (the model as it is, if none is given).

    At temperature 0 each token is the likeliest, the lower id where two are equal; else it is drawn from the softmax of
    logits / temperature with `seed`. Each application of a block keeps keys and values of its own, so that a cache
    changes nothing. A masked model fills the text's masks, left to right, at most `max_new_tokens` of them. `stream` is
    called with what is there after each token. Raises PlanError, MapsError, TextError, LensError.
    """
    done = None
    for done in generation(
        model, text, plan, max_new_tokens=max_new_tokens, temperature=temperature, seed=seed, maps=maps
    ):
        if stream:
            stream(done)
    assert done is not None  # noqa: S101 - at least one token is always written
    return done


@served()
def generation(
    model: Model,
    text: str,
    plan: str | Plan | None = None,
    *,
    max_new_tokens: int = 32,
    temperature: float = 0.0,
    seed: int = 0,
    maps: Maps | None = None,
) -> Iterator[Generation]:
    """`generate` as an iterator over what is there after each token, so that it can be stopped between two."""
    most = limit("new_tokens")
    if type(max_new_tokens) is not int or not 1 <= max_new_tokens <= most:
        raise LensError(
            f"max_new_tokens is {max_new_tokens!r}: give a whole number from 1 to {most:,}. {higher('new_tokens')}"
        )
    if not isinstance(temperature, (int, float)) or not 0 <= temperature <= sys.float_info.max:
        raise LensError(f"temperature is {temperature!r}: give 0 for the likeliest token, or a number above it.")
    if not hasattr(seed, "__index__") or isinstance(seed, bool) or abs(index(seed)) >= 2**63:
        raise LensError(f"seed is {seed!r}: give a whole number of at most 18 digits.")
    plan = Plan.full(model.n_blocks) if plan is None else plan
    planned = as_model(model, plan, maps=maps)
    tokens = model.encode(text)
    chance = torch.Generator().manual_seed(index(seed))

    def choose(logits: Tensor) -> tuple[int, float]:
        wide = (logits.cpu() if logits.device.type == "mps" else logits).double()  # Apple's GPUs have no float64
        likely, top = torch.softmax(wide, -1), top_1(wide)
        # both at once: every look at what a GPU holds waits for it
        token, probability = torch.stack([top.double(), likely.gather(-1, top.clamp_min(0)[None])[0]]).tolist()
        if token == NO_TOKEN:
            raise LensError(
                f"{model.name} predicts nothing here under {planned.plan}: its numbers are no longer finite. "
                "Try dtype='bfloat16' or 'float32', which hold larger ones than float16, or another plan."
            )
        if temperature == 0:
            return int(token), probability
        drawn = int(
            torch.multinomial(torch.softmax((wide - wide.max()) / float(temperature), -1).cpu(), 1, generator=chance)
        )
        return drawn, float(likely[drawn])

    begun = Generation(model.name, planned.plan, tokens.text, "", (), (), (), None)
    steps = _written if model.kind == "causal" else _filled
    yield from steps(model, planned, tokens, begun, choose, max_new_tokens)


Choose = Callable[[Tensor], tuple[int, float]]


def _written(
    model: Model, planned: Any, tokens: Tokens, found: Generation, choose: Choose, most: int
) -> Iterator[Generation]:
    ends, context = _ends(model), model.context
    if context is not None and len(tokens) >= context:
        raise TextError(
            f"The text fills all {context:,} tokens that {model.name} reads at once: shorten it to write on."
        )
    prompt, name = list(_opening(model, tokens)), cache_name(planned)
    kept: dict[str, Any] = {"use_cache": True} if name else {}
    before = model.tokenizer.decode(prompt)
    new = torch.tensor([prompt], device=model.device)
    while found.ended is None:
        with torch.no_grad():
            output = planned(input_ids=new, **kept)
        token, likely = choose(output.logits[0, -1])
        found = _longer(model, found, token, likely)
        ids = [*prompt, *found.ids]
        if name:
            kept[name] = output[name]
        new = torch.tensor([[token] if name else ids], device=model.device)
        ended: Ended | None = "end" if token in ends else "length" if len(found.ids) == most else None
        if ended is None and context is not None and len(ids) >= context:
            ended = "context"
        text = model.tokenizer.decode([*prompt, *(id for id in found.ids if id not in ends)])
        found = replace(found, text=text[len(before) :], ended=ended)
        yield found


def _opening(model: Model, tokens: Tokens) -> tuple[int, ...]:
    """The text's tokens without a special token that a tokenizer put at its end: one writes on from the last word.

    One is left, as no text is without a token of its own.
    """
    ids, ends = tokens.ids, _ends(model)
    while tokens.special[len(ids) - 1] and ids[-1] in ends and tokens.spans[len(ids) - 1] == (0, 0):
        ids = ids[:-1]
    return ids


def _filled(
    model: Model, planned: Any, tokens: Tokens, found: Generation, choose: Choose, most: int
) -> Iterator[Generation]:
    if not tokens.masks:
        raise TextError(
            f"{model.name} fills in masks, and this text has none. Put {model.mask_token} in the place of a word."
        )
    ids, masks = list(tokens.ids), tokens.masks[:most]
    for number, place in enumerate(masks):
        with torch.no_grad():
            logits = planned(input_ids=torch.tensor([ids], device=model.device)).logits[0, place]
        ids[place], likely = choose(logits)
        found = _longer(model, found, ids[place], likely)
        kept = [ids[at] for at, span in enumerate(tokens.spans) if span != (0, 0)]  # without [CLS] and [SEP]
        ended: Ended | None = (
            "filled" if number == len(tokens.masks) - 1 else "length" if number == len(masks) - 1 else None
        )
        found = replace(found, text=model.tokenizer.decode(kept), ended=ended)
        yield found


def _longer(model: Model, found: Generation, token: int, likely: float) -> Generation:
    return replace(
        found,
        ids=(*found.ids, token),
        tokens=(*found.tokens, model.label(token)),
        probabilities=(*found.probabilities, likely),
    )


def _ends(model: Model) -> frozenset[int]:
    """The tokens at which this model stops."""
    config = getattr(model.hf, "generation_config", None)
    given = getattr(config, "eos_token_id", None)
    ids = given if isinstance(given, (list, tuple)) else [given, model.tokenizer.eos_token_id]
    return frozenset(id for id in ids if id is not None)
