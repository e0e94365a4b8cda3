"""A word under a mask, and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lens.models import Tokens
from lens.panels._masking import Covered, mask_word, uncover, word_span

TEXT = "Over the garden wall"


@pytest.fixture
def tokens() -> Tokens:
    """[CLS] Over ␣the ␣gar den ␣wall [SEP], as a byte-level tokenizer sees it."""
    return Tokens(
        text=TEXT,
        ids=(2, 10, 11, 12, 13, 14, 3),
        labels=("[CLS]", "Over", "␣the", "␣gar", "den", "␣wall", "[SEP]"),
        spans=((0, 0), (0, 4), (4, 8), (8, 12), (12, 15), (15, 20), (0, 0)),
        special=(True, False, False, False, False, False, True),
        words=(None, 0, 1, 2, 2, 3, None),
        total=7,
    )


def test_a_word_is_all_of_its_tokens_without_the_space(tokens: Tokens) -> None:
    assert [word_span(tokens, position) for position in (1, 2, 3, 4)] == [(0, 4), (5, 8), (9, 15), (9, 15)]


def test_a_word_is_covered_and_comes_back(tokens: Tokens) -> None:
    covered = mask_word(tokens, 4, "[MASK]")
    assert covered == Covered("Over the [MASK] wall", 9, "garden")
    assert uncover(covered) == TEXT


def test_a_models_own_mask_is_written_as_any_models(tokens: Tokens) -> None:
    marked = replace(
        tokens, text="<m> the garden wall", spans=((0, 0), (0, 3), (3, 7), (7, 11), (11, 14), (14, 19), (0, 0))
    )
    covered = mask_word(marked, 5, "<m>")
    assert covered == Covered("[MASK] the garden [MASK]", 18, "wall")
    assert uncover(covered) == "[MASK] the garden wall"


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("Over the [MASK] wall, again", "Over the garden wall, again"),
        ("High over the [MASK] wall", "High over the garden wall"),
        ("Under the [MASK] wall", "Under the garden wall"),
        ("Over the [MASK wall", None),
        ("Something else", None),
    ],
)
def test_the_word_survives_edits_around_its_mask(text: str, back: str | None) -> None:
    edited = Covered("Over the [MASK] wall", 9, "garden").edited(text)
    assert (uncover(edited) if edited else None) == back


def test_a_special_token_is_no_word(tokens: Tokens) -> None:
    assert mask_word(tokens, 0, "[MASK]") is None
    assert mask_word(tokens, 6, "[MASK]") is None
