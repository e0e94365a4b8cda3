"""What one person may ask for, in one place; who runs lens for others sets each by an environment variable."""

from __future__ import annotations

import os
from typing import Final

from lens.errors import LensError

__all__ = ["DEFAULTS", "PUBLIC", "allowed_models", "for_public", "higher", "kept_by_each", "limit", "variable"]

DEFAULTS: Final = {
    "text": 20_000,  # characters of a sentence
    "plan": 4_000,  # characters of a plan in a session or a link
    "tokens": 512,  # read at once by a panel: a longer table serves nobody, and its price grows with the square
    "steps": 4_096,  # blocks and jumps that one plan runs, repeats counted
    "new_tokens": 4_096,  # written on from a text
    "plans": 20_000,  # of one sweep
    "own_text": 2_000_000,  # characters of a text that maps are fitted on in a panel
    "seconds": 86_400,  # that one piece of a panel's work may take
    "kept": 512,  # megabytes of recordings, readings and measures that a session has at hand; `lens app` divides
}
PUBLIC: Final = {  # where anyone may come (`lens app --public`): as much as the lessons and every panel's start need
    "text": 5_000,
    "plan": 2_000,
    "tokens": 256,
    "steps": 256,
    "new_tokens": 256,
    "plans": 2_000,
    "own_text": 200_000,
    "seconds": 60,
}
MODELS: Final = "LENS_MODELS"
LEAST_KEPT: Final = 64  # megabytes; less would make each answer anew that a slider goes back to


def limit(name: str) -> int:
    """The most of `name` that may be asked for; LensError where its variable holds no whole number from 1."""
    written = os.environ.get(variable(name), "")
    if not written:
        return DEFAULTS[name]
    if not (written.isascii() and written.isdecimal() and len(written) <= 12 and int(written)):
        raise LensError(f"{variable(name)} is {written[:40]!r}: give a whole number from 1.")
    return int(written)


def variable(name: str) -> str:
    """The environment variable that sets the limit."""
    return f"LENS_MAX_{name.upper()}"


def higher(name: str) -> str:
    """How more is allowed: the end of every refusal."""
    return f"Who runs lens can allow more by {variable(name)}."


def for_public(models: tuple[str, ...]) -> dict[str, str]:
    """The variables to set where anyone may come, of those that who runs lens has not set; `models` may be loaded."""
    wanted = {MODELS: ",".join(models)} | {variable(name): str(most) for name, most in PUBLIC.items()}
    return {name: value for name, value in wanted.items() if name not in os.environ}


def kept_by_each(visitors: int, free: int) -> int:
    """Megabytes that each of so many sessions may keep of `free` bytes, of which half is left for their work."""
    return max(LEAST_KEPT, min(DEFAULTS["kept"], free // 2 // visitors // 2**20))


def allowed_models() -> tuple[str, ...] | None:
    """The only models that panels may load, from LENS_MODELS ("demo, gpt2"); None where any may."""
    names = tuple(name.strip() for name in os.environ.get(MODELS, "").split(","))
    return tuple(filter(None, names)) or None
