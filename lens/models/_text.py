"""From text to tokens: what each is called, where it stands in the text, and what was cut off."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from unicodedata import category

from lens.errors import ModelError, TextError

__all__ = ["Tokens", "tokenize"]

MASK = "[MASK]"  # what a person may type, whatever the model's own mask token is
Span = tuple[int, int]


@dataclass(frozen=True)
class Tokens:
    """A text as one model reads it; each tuple has one entry a token."""

    text: str
    ids: tuple[int, ...]
    labels: tuple[str, ...]  # as shown on screen
    spans: tuple[Span, ...]  # character offsets in `text`; (0, 0) for a special token that was added
    special: tuple[bool, ...]
    words: tuple[int | None, ...]  # the index of the word that the token is part of
    total: int  # tokens before the text was cut to the context
    masks: tuple[int, ...] = ()  # positions of the mask token

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def cut(self) -> bool:
        """Whether the text was too long and its end is missing."""
        return self.total > len(self.ids)


def tokenize(
    tokenizer: Any, text: str, label: Callable[[int], str], mask_token: str | None = None, limit: int | None = None
) -> Tokens:
    """Tokens of a text, at most `limit`; raises TextError for what is no text or has no tokens."""
    text = _readable(text, mask_token)
    encoding = _encoding(tokenizer, text)
    columns = (encoding["input_ids"], encoding["offset_mapping"], encoding["special_tokens_mask"])
    total = len(columns[0])
    if all(columns[2]):
        raise TextError("This model's tokenizer finds nothing to read in that text. Type a word or two.")
    kept = _kept(total, _closing(columns[2]), limit)
    ids, spans, added = ([column[at] for at in kept] for column in columns)
    never_text = set(tokenizer.all_special_ids)
    return Tokens(
        text=text,
        ids=tuple(ids),
        labels=tuple(map(label, ids)),
        spans=tuple(map(tuple, spans)),
        special=tuple(bool(flag) or number in never_text for flag, number in zip(added, ids, strict=True)),
        words=_words(text, spans, mask_token),
        total=total,
        masks=tuple(at for at, number in enumerate(ids) if mask_token and number == tokenizer.mask_token_id),
    )


def _readable(text: str, mask_token: str | None) -> str:
    if not isinstance(text, str):
        raise TextError(f"A text is needed, not {type(text).__name__}.")
    if not text.strip():
        raise TextError("There is no text yet. Type a sentence.")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # half a character crashes tokenizers
    return text.replace(MASK, mask_token) if mask_token else text


def _encoding(tokenizer: Any, text: str) -> Any:
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{type(tokenizer).__name__} cannot say where in the text a token stands, because it is a slow tokenizer. "
            "Use a model with a tokenizer.json, or convert it with the tokenizers library."
        )
    # verbose=False: a text longer than the context is not a warning here, `Tokens.cut` says it
    return tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)


def _closing(added: Sequence[int]) -> int:
    """How many special tokens were added at the end, such as BERT's [SEP]."""
    return next((count for count, flag in enumerate(reversed(added)) if not flag), len(added))


def _kept(total: int, closing: int, limit: int | None) -> list[int]:
    if limit is None or total <= limit:
        return list(range(total))
    if limit <= closing:
        raise TextError(f"A limit of {limit} tokens leaves no room for text; allow at least {closing + 1}.")
    return [*range(limit - closing), *range(total - closing, total)]


@cache
def _marks() -> str:
    """Accents and vowel signs that stand as characters of their own: part of a word, though `\\w` leaves them out."""
    return "".join(chr(code) for code in range(0x20000) if category(chr(code)).startswith("M"))


def _words(text: str, spans: Sequence[Span], mask_token: str | None) -> tuple[int | None, ...]:
    """The word that each token begins in, spaces aside; a word is a run of letters, a mask, or a single sign."""
    mask = f"{re.escape(mask_token)}|" if mask_token else ""
    letter = rf"[\w{_marks()}]"
    word_at: dict[int, int] = {}
    for index, match in enumerate(re.finditer(rf"{mask}{letter}+(?:['’]{letter}+)*|[^\w\s]", text)):
        word_at.update(dict.fromkeys(range(*match.span()), index))
    return tuple(next((word_at[at] for at in range(*span) if at in word_at), None) for span in spans)
