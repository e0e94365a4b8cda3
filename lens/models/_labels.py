"""How a token is shown: everything that is in it can be seen, and no two texts look alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

from lens.models._panics import tokenizer_in_words

__all__ = ["labeller", "visible"]

Spelling = Callable[[str], str]

GLYPHS = {" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"}
RESERVED = frozenset("␣↵⇥␍⟨⟩◌")  # the signs used here are themselves shown by number, so that each means one thing
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})  # Unicode: controls, unassigned, separators
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
RUNS = re.compile(r"[\udc80-\udcff]+|[^\udc80-\udcff]+")  # what Python's surrogateescape makes of stray bytes, or text


def labeller(tokenizer: Any, name: str) -> Callable[[int], str]:
    """A function from token id to what is shown for it: never empty, and different for different tokens.

    Here and later, ModelError where the tokenizer of the model `name` is damaged.
    """
    with tokenizer_in_words(name):
        added = {int(number): str(token) for number, token in tokenizer.added_tokens_decoder.items()}
        spelled = _spelling(tokenizer)

    @cache
    def label(token_id: int) -> str:
        if token_id in added:
            return visible(added[token_id]) or _numbered(token_id)
        with tokenizer_in_words(name):
            token = tokenizer.convert_ids_to_tokens(token_id)
        # a model often has more rows than its tokenizer has tokens
        return (spelled(token) if token else "") or _numbered(token_id)

    return label


def visible(text: str) -> str:
    """A text with every character that cannot be seen replaced by a sign, or by its number in ⟨⟩."""
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character in GLYPHS:
        return GLYPHS[character]
    category = unicodedata.category(character)
    if character in RESERVED or category in UNSEEN:
        return f"⟨U+{ord(character):04X}⟩"
    return f"◌{character}" if category.startswith("M") else character  # a mark would join what stands before it


def _numbered(token_id: int) -> str:
    return f"⟨token {token_id}⟩"


def _spelling(tokenizer: Any) -> Spelling:
    """How this tokenizer writes its tokens down, told by what it decodes them with."""
    decoder = tokenizer.backend_tokenizer.decoder
    steps = "" if decoder is None else decoder.__getstate__().decode()
    if '"ByteLevel"' in steps:
        return _byte_level(_bytes_of_characters())
    return _sentence_pieces if '"Metaspace"' in steps or "▁" in steps else visible


def _byte_level(table: dict[str, int]) -> Spelling:
    """GPT-2's way: each character stands for a byte."""

    def spelled(token: str) -> str:
        if any(character not in table for character in token):
            return visible(token)
        return _shown(bytes(table[character] for character in token))

    return spelled


def _sentence_pieces(token: str) -> str:
    """SentencePiece's way: ▁ is a space, <0x0A> a byte, shown as such since the character may have its own token."""
    byte = BYTE_TOKEN.fullmatch(token)
    return f"⟨{byte[1].upper()}⟩" if byte else visible(token.replace("▁", " "))


def _shown(raw: bytes) -> str:
    """What is UTF-8 as text, and what is only a part of a character as bytes: ⟨E2 80⟩."""
    runs = RUNS.findall(raw.decode("utf-8", "surrogateescape"))
    return "".join(_shown_bytes(run) if "\udc80" <= run[0] <= "\udcff" else visible(run) for run in runs)


def _shown_bytes(run: str) -> str:
    return f"⟨{run.encode('utf-8', 'surrogateescape').hex(' ').upper()}⟩"


def _bytes_of_characters() -> dict[str, int]:
    """GPT-2's characters for the 256 bytes: those to be seen stand for themselves, the others come from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + at): byte for at, byte in enumerate(unseen)}
