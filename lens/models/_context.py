"""How many tokens a model can read at once."""

from __future__ import annotations

from typing import Any

from lens.models._family import families

__all__ = ["context_of", "first_position"]

SANE = 10_000_000  # tokenizers without a limit say 10^30


def context_of(config: Any, tokenizer: Any | None) -> int | None:
    """The smaller of what the config and the tokenizer allow; None where neither does (BLOOM)."""
    config = config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    bounds = [positions - first_position(config)] if positions else []
    if tokenizer is not None and tokenizer.model_max_length < SANE:
        bounds.append(int(tokenizer.model_max_length))
    return min(bounds, default=None)


def first_position(config: Any) -> int:
    """The position of a text's first token: 0, but RoBERTa counts from behind the padding's index."""
    family = families()[0].get(config.model_type)
    return int(config.pad_token_id) + 1 if family is not None and family.positions_after_padding else 0
