"""A model's config, held to sensible sizes before anything is built of it: a line of JSON can ask for years of work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lens.errors import ModelError

__all__ = ["check_raw", "checked_config"]

LARGEST: Final = 2**40  # of any number in a config: beyond it, counting bytes overflows
MOST: Final = {  # part of a key → the most that it may count; each layer or label is an object of Python
    "layer": 512,
    "label": 100_000,
    "expert": 4_096,
    "position": 2**27,
}
NEEDED: Final = ("num_hidden_layers", "hidden_size", "vocab_size")
ATTENTION: Final = (None, "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")


def check_raw(name: str, raw: Any) -> None:
    """ModelError if what config.json says of `name` holds a number too large to be meant."""
    for key, number in _numbers("", raw):
        most = min((most for part, most in MOST.items() if part in key), default=LARGEST)
        if not abs(number) <= most:
            raise ModelError(f"The config of {name} says {key[:80]} = {str(number)[:20]}; at most {most:,} are read.")


def checked_config(name: str, config: Any) -> Any:
    """The config, if it says how deep, wide and wordy the model is; ModelError if not.

    An attention that a config names and transformers does not have is a program on the hub: it is not asked for.
    """
    text = config.get_text_config()
    for key in NEEDED:
        value = getattr(text, key, None)
        if type(value) is not int or value < 1:
            raise ModelError(f"The config of {name} says {key} = {value!r:.40}: a whole number from 1 is needed.")
    positions = getattr(text, "max_position_embeddings", None)
    if positions is not None and type(positions) is not int:
        raise ModelError(f"The config of {name} says {positions!r:.40} positions: a whole number is needed.")
    if config._attn_implementation not in ATTENTION:
        config._attn_implementation = None
    return config


def _numbers(key: str, value: Any) -> Iterator[tuple[str, float]]:
    """Each number of a config with the key that it stands at."""
    if isinstance(value, dict):
        for inner, each in value.items():
            yield from _numbers(str(inner), each)
    elif isinstance(value, list):
        for each in value:
            yield from _numbers("", each)
    elif isinstance(value, (int, float)) and value not in (float("inf"), float("-inf")):
        yield key, value
