"""Forwards by plain hooks and the paper's formulas in plain numpy: nothing here knows the package's own arithmetic."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lens.analyses import sample_sentences

TEXTS = sample_sentences()[300:318]


@dataclass
class Sentence:
    """One text as the protocol reads it."""

    ids: list[int]
    places: list[int]  # of the tokens that count
    streams: list[np.ndarray]  # L+1 of (T, d)
    logits: np.ndarray  # (T, V)


def blocks_of(hf: Any) -> Any:
    return hf.transformer.h if hasattr(hf, "transformer") else hf.bert.encoder.layer


def head(hf: Any, stream: np.ndarray) -> np.ndarray:
    """Logits of a stream at the last boundary, by the model's own modules."""
    with torch.no_grad():
        x = torch.tensor(np.asarray(stream, np.float32))
        return (hf.lm_head(hf.transformer.ln_f(x)) if hasattr(hf, "transformer") else hf.cls(x)).numpy()


def sentences(model: Any, texts: list[str], positions: str, seed: int = 0) -> list[Sentence]:
    """Each text alone, unpadded and whole, its random token drawn as documented."""
    return [_sentence(model, number, text, positions, seed) for number, text in enumerate(texts)]


def _sentence(model: Any, number: int, text: str, positions: str, seed: int) -> Sentence:
    encoded = model.tokenizer(text, return_special_tokens_mask=True)
    ids, chance = list(encoded["input_ids"]), random.Random(f"{seed} {number}")  # noqa: S311
    place = chance.randrange(len(ids)) if model.kind == "causal" or positions == "one" else None
    if model.kind == "masked":
        if place is None:
            place = chance.choice([at for at, special in enumerate(encoded["special_tokens_mask"]) if not special])
        ids[place] = model.tokenizer.mask_token_id
    streams, logits = forward(model.hf, ids)
    return Sentence(ids, [place] if positions == "one" else list(range(len(ids))), streams, logits)


def forward(hf: Any, ids: list[int]) -> tuple[list[np.ndarray], np.ndarray]:
    kept: list[np.ndarray] = []

    def out(value: Any) -> torch.Tensor:
        return value[0] if isinstance(value, tuple) else value

    hooks = [b.register_forward_pre_hook(lambda _, args: kept.append(args[0][0].numpy().copy())) for b in blocks_of(hf)]
    hooks.append(
        blocks_of(hf)[-1].register_forward_hook(lambda _, __, value: kept.append(out(value)[0].numpy().copy()))
    )
    with torch.no_grad():
        logits = hf(torch.tensor([ids])).logits[0].numpy()
    for hook in hooks:
        hook.remove()
    return kept, logits


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def measures(logits: np.ndarray, own: np.ndarray) -> dict[str, float]:
    """Of one token: the paper's Precision@1, 5 and 10 and surprisal, and KL and entropy."""
    p, q = softmax(logits), softmax(own)
    top = int(logits.argmax())
    order = np.argsort(-own.astype(np.float64), kind="stable")
    found = {f"p{k}": float(top in order[:k]) for k in (1, 5, 10)}
    return found | {
        "surprisal": float(-np.log(q[top])),
        "kl": float((q * (np.log(q) - np.log(p))).sum()),
        "entropy": float(-(p * np.log(p)).sum()),
    }


def averaged(rows: list[list[dict[str, float]]]) -> dict[str, float]:
    """Mean over all tokens of all sentences."""
    flat = [token for row in rows for token in row]
    return {name: float(np.mean([token[name] for token in flat])) for name in flat[0]}
