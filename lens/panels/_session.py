"""The question that a person is asking: everything that a view depends on, and nothing that can be computed from it."""

from __future__ import annotations

from traitlets import Enum, HasTraits, Int, Unicode

__all__ = ["CASTS", "EXAMPLES", "METRICS", "Session"]

CASTS = ("id", "mat", "difference")
METRICS = ("probability", "entropy", "rank", "kl", "surprisal")
EXAMPLES = {
    "causal": "The old man sat by the fire and looked at the",
    "masked": "The old man sat by the fire and [MASK] at the door.",
}


class Session(HasTraits):
    """One person's choices; panels read and write them and do not know one another."""

    model = Unicode("demo", help="an embedded model, a folder, or a name on the Hugging Face hub")
    text = Unicode(EXAMPLES["causal"], help="the sentence")
    source = Int(4, min=0, help="boundary whose stream is read")
    target = Int(None, min=0, allow_none=True, help="boundary that it is cast to; None is the last")
    position = Int(None, min=0, allow_none=True, help="token that is looked at; None follows the end, or the mask")
    plan = Unicode("", help="what runs on the assembly line, such as 0-3 8-11; empty is the full model")
    k = Int(8, min=1, max=20, help="how many predictions are listed")
    cast = Enum(CASTS, "mat", help="what the lens table shows")
    metric = Enum(METRICS, "probability", help="what colours the lens table")
