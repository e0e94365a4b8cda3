"""How tokens are shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lens.models._labels import labeller, visible


@pytest.mark.parametrize("name", ["byte_level", "word_pieces", "sentence_pieces"])
def test_every_token_has_a_label_of_its_own(name: str, request: pytest.FixtureRequest) -> None:
    check(request.getfixturevalue(name))


@pytest.mark.parametrize("name", ["tokenizers/gpt2", "tokenizers/bert-base-uncased", "models/stories260K"])
def test_every_token_of_real_tokenizers_has_a_label_of_its_own(name: str, shared_data: Path) -> None:
    from transformers import AutoTokenizer

    check(AutoTokenizer.from_pretrained(shared_data / name))


def check(tokenizer: Any) -> None:
    label = labeller(tokenizer, "a model")
    labels = [label(token) for token in range(len(tokenizer) + 3)]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    plain = [re.sub(r"⟨(U\+[0-9A-F]+|[0-9A-F ]+|token \d+)⟩", "", shown) for shown in labels]
    assert not any(character.isspace() or not character.isprintable() for shown in plain for character in shown)


def shown(tokenizer: Any, text: str) -> list[str]:
    label = labeller(tokenizer, "a model")
    return [label(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def test_bytes(byte_level: Any) -> None:
    assert "".join(shown(byte_level, " the sea\n\n\tfor\r")) == "␣the␣sea↵↵⇥for␍"
    assert "".join(shown(byte_level, "\u200b")) in ("⟨U+200B⟩", "⟨E2 80⟩⟨8B⟩", "⟨E2⟩⟨80⟩⟨8B⟩")
    assert shown(byte_level, "<|endoftext|>") == ["<|endoftext|>"]
    assert labeller(byte_level, "a model")(10**6) == "⟨token 1000000⟩"


def test_whole_characters_are_text_and_parts_are_bytes() -> None:
    from lens.models._labels import _byte_level, _bytes_of_characters

    table = _bytes_of_characters()
    spelled = _byte_level(table)
    characters = {byte: character for character, byte in table.items()}

    def token(raw: bytes) -> str:
        return spelled("".join(characters[byte] for byte in raw))

    assert sorted(table.values()) == list(range(256))
    assert token("é—東".encode()) == "é—東"
    assert token(" —".encode()[:3]) == "␣⟨E2 80⟩"
    assert token(b"\x80\x80a") == "⟨80 80⟩a"


def test_gpt2s_table_is_the_tokenizers_librarys() -> None:
    from tokenizers import pre_tokenizers

    from lens.models._labels import _bytes_of_characters

    assert set(_bytes_of_characters()) == set(pre_tokenizers.ByteLevel.alphabet())
    text = "".join(map(chr, range(1, 0x800)))
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    spelled = bytes(_bytes_of_characters()[character] for part, _ in split for character in part)
    assert spelled.decode() == text


def test_pieces(sentence_pieces: Any) -> None:
    assert "".join(shown(sentence_pieces, "the sea")) == "␣the␣sea"
    assert shown(sentence_pieces, "東")[-3:] == ["⟨E6⟩", "⟨9D⟩", "⟨B1⟩"]
    assert shown(sentence_pieces, "<mask>")[-1] == "<mask>"


def test_word_pieces(word_pieces: Any) -> None:
    labels = shown(word_pieces, "sold [MASK]")
    assert labels[-1] == "[MASK]"
    assert labels[0].startswith("s")
    assert all(label.startswith("##") for label in labels[1:-1])
    assert len(labels) > 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" \n\t\r", "␣↵⇥␍"),
        ("\0\u200b\ufeff\xa0\u202e", "⟨U+0000⟩⟨U+200B⟩⟨U+FEFF⟩⟨U+00A0⟩⟨U+202E⟩"),
        ("␣⟨⟩", "⟨U+2423⟩⟨U+27E8⟩⟨U+27E9⟩"),
        ("\u0301", "◌\u0301"),
        ("<script>", "<script>"),
    ],
)
def test_signs(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(st.text(), st.text())
def test_different_texts_look_different(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)
