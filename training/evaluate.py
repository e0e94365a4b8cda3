"""Held-out numbers: loss, bits per byte and top-1 accuracy."""

import math

import numpy as np
import torch
from tokens import CONTEXT, Tokens, Vocabulary
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

MASK_SHARE = 0.15
BATCH = 16


def windows(data: Tokens, length: int, limit: int | None) -> np.ndarray:
    """Back-to-back windows over the whole text, or `limit` of them spread evenly."""
    rows = data.ids[: len(data.ids) // length * length].reshape(-1, length).astype(np.int64)
    return rows if limit is None else rows[np.linspace(0, len(rows) - 1, limit).astype(int)]


def losses_and_hits(logits: Tensor, targets: Tensor) -> tuple[float, int]:
    """Summed loss in nats and number of right first guesses."""
    loss = cross_entropy(logits.float(), targets, reduction="sum")
    return loss.item(), (logits.argmax(-1) == targets).sum().item()


@torch.no_grad()
def evaluate_demo(model: PreTrainedModel, vocabulary: Vocabulary, data: Tokens, limit: int | None) -> dict[str, float]:
    """Next-token numbers in windows of the full context; a window's first token is given, not predicted."""
    rows = windows(data, CONTEXT, limit)
    loss, hits = 0.0, 0
    for batch in torch.from_numpy(rows).to(model.device).split(BATCH):
        logits = model(batch, use_cache=False).logits[:, :-1]
        a, b = losses_and_hits(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss, hits = loss + a, hits + b
    n = rows[:, 1:].size
    n_bytes = int(vocabulary.n_bytes[rows[:, 1:]].sum())
    return {"loss": loss / n, "bits_per_byte": loss / n_bytes / math.log(2), "accuracy": hits / n, "n": n}


def fixed_mask(rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same positions each time: 15 % of each row, never its first or last token."""
    mask = np.random.default_rng(seed).random(rows.shape) < MASK_SHARE
    mask[:, 0] = mask[:, -1] = False
    return mask


@torch.no_grad()
def evaluate_bert(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, data: Tokens, limit: int | None
) -> dict[str, float]:
    """Numbers at 15 % of the positions, all replaced by [MASK], in windows of 126 tokens between [CLS] and [SEP]."""
    rows = np.pad(windows(data, 126, limit), ((0, 0), (1, 1)))
    rows[:, 0], rows[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    mask = fixed_mask(rows)
    loss, hits = 0.0, 0
    for row, hidden in zip(torch.from_numpy(rows).split(BATCH), torch.from_numpy(mask).split(BATCH), strict=True):
        row, hidden = row.to(model.device), hidden.to(model.device)
        states = model.bert(row.masked_fill(hidden, tokenizer.mask_token_id)).last_hidden_state[hidden]
        a, b = losses_and_hits(model.cls(states), row[hidden])
        loss, hits = loss + a, hits + b
    n = int(mask.sum())
    return {"loss": loss / n, "accuracy": hits / n, "n": n}


def evaluate(
    kind: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, data: Tokens, limit: int | None = None
) -> dict[str, float]:
    """Held-out numbers of either model, on everything or on `limit` windows."""
    training = model.training
    model.eval()
    if kind == "demo":
        numbers = evaluate_demo(model, Vocabulary.of(tokenizer), data, limit)
    else:
        numbers = evaluate_bert(model, tokenizer, data, limit)
    model.train(training)
    return numbers
