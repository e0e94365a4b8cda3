"""From logits to what a reading shows: top-k, entropy, rank, KL and surprisal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

__all__ = ["NO_TOKEN", "Comparison", "Reference", "Scores", "compare", "joined", "judge", "score", "top_1", "top_k"]

NO_TOKEN = -1  # in the place of an id where logits are not numbers: their softmax is none, and nothing is predicted
STRETCH, ON_GPU = 64, 256  # logits of which the largest is found first
MANY = 2**24  # logits: with fewer, a GPU takes longer to begin several searches than one
BLOCK = 2**20  # logits scored together, so that they stay in the processor's cache between passes


@dataclass(frozen=True, eq=False)
class Scores:
    """How predicted distributions compare with the model's own; … is the shape of the predictions."""

    token_ids: Tensor  # (…, k) int64, most probable first; equal probabilities by ascending id; NO_TOKEN
    probabilities: Tensor  # (…, k) float32, in [0, 1]
    entropy: Tensor  # (…) nats
    kl: Tensor  # (…) nats: KL(model ‖ prediction)
    surprisal: Tensor  # (…) nats: −ln p_model(the prediction's top-1)
    rank: Tensor  # (…) int64: place of the model's own top-1 in the prediction, 0 is the top; -1 where there is none

    def reshape(self, shape: Sequence[int]) -> Scores:
        """The same scores with … laid out as `shape`."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return Scores(**{name: value.reshape(*shape, *value.shape[self.rank.ndim :]) for name, value in own.items()})


def top_k(logits: Tensor, k: int) -> Tensor:
    """Ids (…, k) of the k largest of `logits` (…, vocabulary), equal values by ascending id; NO_TOKEN if not finite."""
    rows = logits.reshape(-1, logits.shape[-1])
    values, ids = _largest(rows, min(k + 1, rows.shape[-1]))
    ids, finite, equal = ids[:, :k], values[:, :1].isfinite(), values[:, 1:] == values[:, :-1]
    if equal.any():  # topk gives equals in any order, and any of those for which there is no room
        crowded = equal[:, k - 1 :].any(-1) & finite[:, 0]
        ids[crowded] = _lowest(rows[crowded], values[crowded, k - 1 : k], k)
        ids = ids.sort(-1).values
        ids = ids.gather(-1, torch.sort(rows.gather(-1, ids), dim=-1, descending=True, stable=True).indices)
    return ids.masked_fill(~finite, NO_TOKEN).reshape(*logits.shape[:-1], k)


def _lowest(rows: Tensor, least: Tensor, k: int) -> Tensor:
    """Ids (N, k), ascending, of the k largest of each row: of those equal to the last, `least` (N, 1), the lowest."""
    above, equal = rows > least, rows == least
    wanted = k - above.sum(-1, keepdim=True)
    return (above | (equal & (equal.cumsum(-1, dtype=torch.int32) <= wanted))).nonzero()[:, 1].reshape(-1, k)


def _largest(rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`torch.topk` of rows (N, V). Only those k stretches of a row are searched whose own maxima are largest: what is
    in no such stretch has k values beside it that are no smaller.
    """
    on_cpu = rows.device.type == "cpu"
    stretch = STRETCH if on_cpu else ON_GPU
    count = rows.shape[-1] // stretch
    if count < 4 * k or (not on_cpu and rows.numel() < MANY):
        return torch.topk(rows, k)
    even = rows[:, : count * stretch].reshape(len(rows), count, stretch)
    starts = stretch * torch.topk(even.amax(-1), k, sorted=False).indices
    within = torch.arange(stretch, device=rows.device)
    rest = torch.arange(count * stretch, rows.shape[-1], device=rows.device).expand(len(rows), -1)
    places = torch.cat([(starts[..., None] + within).flatten(1), rest], -1)
    values, order = torch.topk(rows.gather(-1, places), k)
    return values, places.gather(-1, order)


def top_1(logits: Tensor) -> Tensor:
    """Ids (…) of the largest of `logits` (…, vocabulary), the lowest of equals; NO_TOKEN where it is not finite."""
    value, ids = logits.max(-1)
    return ids.masked_fill(~value.isfinite(), NO_TOKEN)


def score(logits: Tensor, reference: Tensor, k: int) -> Scores:
    """Score `logits` (…, positions, vocabulary) against the model's own `reference` (positions, vocabulary).

    Surprisal and the comparison with the model's own top-1 follow "Jump to Conclusions", section 4.1.
    """
    positions, vocabulary = reference.shape
    rows = logits.reshape(-1, positions, vocabulary)
    block = BLOCK if logits.device.type == "cpu" else logits.numel()
    wide = max(1, min(positions, block // vocabulary))
    tall = max(1, min(len(rows), block // (wide * vocabulary)))
    room = torch.empty(3, tall, wide, vocabulary, device=logits.device, dtype=torch.float32)
    parts = []
    for place in range(0, positions, wide):
        near = _near(reference[place : place + wide])
        here = rows[:, place : place + wide]
        blocks = (here[at : at + tall] for at in range(0, len(here), tall))
        parts.append(joined([_score_block(each, near, k, room[:, : len(each), : each.shape[1]]) for each in blocks]))
    return joined(parts, 1).reshape(logits.shape[:-1])


def joined(parts: Sequence[Scores], dim: int = 0) -> Scores:
    """Scores of several predictions as one, along the axis `dim`."""
    return Scores(
        **{field.name: torch.cat([getattr(part, field.name) for part in parts], dim) for field in fields(Scores)}
    )


def _near(reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-softmax and softmax (P, V) of the model's own logits, and its top-1 (P, 1)."""
    log = torch.log_softmax(reference.float(), -1)
    return log, log.exp(), top_k(reference, 1)


def _score_block(logits: Tensor, near: tuple[Tensor, Tensor, Tensor], k: int, room: Tensor) -> Scores:
    """Scores of logits (N, P, V), few enough to stay in the processor's cache from one pass to the next.

    `room` (3, N, P, V) float32 is written over: memory asked for anew is given by the system page by page.
    """
    log_q, q, top = near
    ids = top_k(logits, k)
    log_p, values, product = room
    torch.log_softmax(logits.float(), -1, out=log_p)
    entropy = (0 - _expectation_of(torch.exp(log_p, out=values), log_p, product)).clamp_min(0)
    kl = _expectation_of(q.expand_as(log_p), torch.sub(log_q, log_p, out=values), product).clamp_min(0)
    return Scores(
        token_ids=ids,
        probabilities=log_p.gather(-1, ids.clamp_min(0)).exp(),
        entropy=entropy,
        kl=kl,
        surprisal=_surprisal(log_q.expand_as(log_p), ids[..., :1]),
        rank=_rank(logits, top.expand(*logits.shape[:-1], 1), product).masked_fill(ids[..., 0] < 0, -1),
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """How the top-1 and the whole of predicted distributions (N, V) compare with the model's own; all (N,)."""

    token_ids: Tensor  # int64, the prediction's top-1
    place: Tensor  # int64, of that token in the model's own order, 0 is the top; V, behind all, where there is none
    surprisal: Tensor  # nats, −ln p_model of that token
    kl: Tensor  # nats, KL(model ‖ prediction)
    entropy: Tensor  # nats, of the prediction


def compare(logits: Tensor, reference: Tensor, log_q: Tensor | None = None) -> Comparison:
    """Compare `logits` (N, V) with the model's own `reference` (N, V), whose log-softmax may be given to save it.

    Precision@k is `place < k` ("Jump to Conclusions", section 4.1).
    """
    log_q = torch.log_softmax(reference.float(), -1) if log_q is None else log_q
    log_p = torch.log_softmax(logits.float(), -1)
    token = top_k(logits, 1)
    none = (token[:, 0] < 0) | log_q[:, 0].isnan()  # of a row that is no softmax every logarithm is NaN
    return Comparison(
        token_ids=token[:, 0],
        place=_rank(reference, token).masked_fill(none, reference.shape[-1]),
        surprisal=_surprisal(log_q, token),
        kl=_expectation(log_q.exp(), log_q - log_p),
        entropy=_expectation(log_p.exp(), -log_p),
    )


@dataclass(frozen=True, eq=False)
class Reference:
    """The model's own distributions at N tokens, made ready for comparing many others with them."""

    log: Tensor  # (N, V) float32, log-softmax
    probability: Tensor  # (N, V)
    top: Tensor  # (N,) int64, NO_TOKEN where there is none

    @classmethod
    def of(cls, logits: Tensor) -> Reference:
        """From the model's own logits (N, V)."""
        log = torch.log_softmax(logits.float(), -1)
        return cls(log, log.exp(), top_1(logits))


def judge(logits: Tensor, reference: Reference, answers: Tensor) -> Tensor:
    """(N, 3) float64 of predictions `logits` (N, V): loss −ln p(answer), KL(model ‖ prediction), both in nats, and 1
    where the top-1 is the model's. `answers` (N,) are the text's own tokens; the loss is NaN where that is −1, and all
    three where a prediction is no number.

    KL is Σ q (ln q − z) + ln Σ e^z: one pass over the vocabulary fewer than with the log-softmax of z.
    """
    logits, answers = logits.float(), answers.to(logits.device)
    norm = torch.logsumexp(logits, -1)
    kl = _expectation_of(reference.probability, reference.log - logits) + norm
    loss = norm - logits.gather(-1, answers.clamp_min(0)[:, None])[:, 0]
    top = top_1(logits)
    loss = torch.where(answers >= 0, loss, torch.nan)
    judged = torch.stack([loss, kl.clamp_min(0), (top == reference.top).to(kl)], -1).double()
    return judged.masked_fill(((top < 0) | (reference.top < 0))[:, None], torch.nan)


def _expectation(weights: Tensor, values: Tensor) -> Tensor:
    """Entropy and KL, which are never negative; float32 sums may be, by 1e-7; NaN stays."""
    return _expectation_of(weights, values).clamp_min(0)


def _expectation_of(weights: Tensor, values: Tensor, room: Tensor | None = None) -> Tensor:
    """Σ weights · values over the vocabulary; a token of weight 0 adds nothing, even if its value is infinite."""
    sums = torch.mul(weights, values, out=room).sum(-1)
    undefined = sums.isnan()
    if undefined.any():
        weights, values = weights[undefined], values[undefined]
        sums[undefined] = torch.where(weights == 0, weights, weights * values).sum(-1)
    return sums


def _rank(logits: Tensor, token: Tensor, room: Tensor | None = None) -> Tensor:
    """How many logits are above that of `token` (…, 1), or equal to it with a lower id; -1 where that is none."""
    none, token = token[..., 0] < 0, token.clamp_min(0)
    own = logits.gather(-1, token)
    if room is None:  # ones are summed three times faster as float32 than as bool
        room = torch.empty_like(logits, dtype=torch.float32)
    above = torch.gt(logits, own, out=room).sum(-1).long()
    tied = torch.ge(logits, own, out=room).sum(-1).long() > above + 1
    if tied.any():
        logits, own, token = logits[tied], own[tied], token[tied]
        ids = torch.arange(logits.shape[-1], device=logits.device)
        above[tied] += ((logits == own) & (ids < token)).sum(-1)
    return above.masked_fill(none, -1)


def _surprisal(log_q: Tensor, token: Tensor) -> Tensor:
    """−ln q of a token (…, 1); NaN where there is none."""
    return -log_q.gather(-1, token.clamp_min(0)).masked_fill(token < 0, torch.nan)[..., 0]
