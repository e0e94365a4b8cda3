"""From logits to what a reading shows: top-k, entropy, rank, KL and surprisal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Scores", "score", "top_k"]


@dataclass(frozen=True, eq=False)
class Scores:
    """How n predicted distributions compare with the model's own; every field has n rows."""

    token_ids: Tensor  # (n, k) int64, most probable first; equal probabilities by ascending id
    probabilities: Tensor  # (n, k) float32, in [0, 1]
    entropy: Tensor  # (n,) float64, nats
    kl: Tensor  # (n,) float64, nats: KL(model ‖ prediction)
    surprisal: Tensor  # (n,) float64, nats: −ln p_model(the prediction's top-1)
    rank: Tensor  # (n,) int64: place of the model's own top-1 in the prediction, 0 is the top


def top_k(logits: Tensor, k: int) -> Tensor:
    """Ids (n, k) of the k largest of each row of `logits` (n, vocabulary), equal values by ascending id."""
    values, ids = torch.topk(logits, k)
    crowded = (logits >= values[:, -1:]).sum(-1) > k  # more candidates than places: topk chose freely among equals
    if crowded.any():
        ids[crowded] = torch.sort(logits[crowded], dim=-1, descending=True, stable=True).indices[:, :k]
    ids = ids.sort(-1).values
    order = torch.sort(logits.gather(-1, ids), dim=-1, descending=True, stable=True).indices
    return ids.gather(-1, order)


def score(logits: Tensor, reference: Tensor, k: int) -> Scores:
    """Score predictions `logits` (n, vocabulary) against the model's own `reference` logits of the same shape.

    Surprisal and the comparison with the model's own top-1 follow "Jump to Conclusions", section 4.1.
    """
    log_p = torch.log_softmax(logits.float(), -1)
    log_q = torch.log_softmax(reference.float(), -1)
    own = top_k(reference, 1)
    ids = top_k(logits, k)
    return Scores(
        token_ids=ids,
        probabilities=log_p.gather(-1, ids).exp(),
        entropy=-_expectation(log_p, log_p),
        kl=_expectation(log_q, log_q - log_p),
        surprisal=-log_q.gather(-1, ids[:, :1])[:, 0].double(),
        rank=_rank(logits, own),
    )


def _expectation(log_weights: Tensor, values: Tensor) -> Tensor:
    """Σ exp(log_weights) · values over the vocabulary; a token of weight 0 adds nothing, even if its value is −∞."""
    weights = log_weights.exp()
    return torch.where(weights > 0, weights * values, weights).sum(-1, dtype=torch.float64)


def _rank(logits: Tensor, token: Tensor) -> Tensor:
    own = logits.gather(-1, token)
    above = (logits > own).sum(-1)
    ids = torch.arange(logits.shape[-1], device=logits.device)
    return above + ((logits == own) & (ids < token)).sum(-1)
