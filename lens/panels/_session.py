"""The question that a person is asking: everything that a view depends on, and nothing that can be computed from it."""

from __future__ import annotations

import math
from typing import Any, Final

from traitlets import Enum, Float, HasTraits, Int, TraitError, Unicode, validate

from lens._limits import limit, variable
from lens.casts import casts
from lens.panels._lesson import lesson_notebooks

__all__ = ["EXAMPLES", "FIGURES", "METRICS", "Session"]

FIGURES = ("strategies", "skip", "repeat", "reverse", "mean", "sum", "scaled", "orders")
METRICS = ("probability", "entropy", "rank", "kl", "surprisal")
COUNTS = (None, 0, 20, 50, 100, 200, 500)  # of sentences; each panel offers some of them
MODEL: Final = 10_000  # characters of a model's name or folder
EXAMPLES = {
    "causal": "The old man sat by the fire and looked at the",
    "masked": "The old man sat by the fire and [MASK] at the door.",
}


class Session(HasTraits):
    """One person's choices; panels read and write them and do not know one another."""

    model = Unicode("demo", help="an embedded model, a folder, or a name on the Hugging Face hub")
    text = Unicode(EXAMPLES["causal"], help="the sentence")
    source = Int(4, min=0, max=9_999, help="boundary whose stream is read")
    target = Int(None, min=0, max=9_999, allow_none=True, help="boundary that it is cast to; None is the last")
    position = Int(
        None, min=0, max=999_999, allow_none=True, help="token that is looked at; None follows the end, or the mask"
    )
    plan = Unicode("", help="what runs on the assembly line, such as 0-3 8-11; empty is the full model")
    k = Int(8, min=1, max=20, help="how many predictions are listed")
    cast = Unicode("mat", help="what the lens table shows: a cast, or the difference of id and mat")
    metric = Enum(METRICS, "probability", help="what colours the lens table")
    panel = Unicode("jump", help="the panel that is looked at")
    against = Enum(("text", "model", "plan"), "text", help="what is compared")
    other_text = Unicode("", help="the sentence beside; empty is one worth looking at, as are these two")
    other_model = Unicode("", help="the model beside")
    other_plan = Unicode("", help="the plan beside")
    figure = Enum(FIGURES, "strategies", help="the figure of the sweeps")
    effect = Enum(("change", "kl", "agreement"), "change", help="what sweeps measure")
    measure = Enum(("surprisal", "kl", "entropy"), "surprisal", help="what curves show beside Precision@k")
    precision = Enum((1, 5, 10), 1, help="the k of Precision@k")
    leave = Enum(("mat", "id"), "mat", help="the cast that tokens leave early by")
    exit = Float(0.3, min=-0.1, max=1.11, help="λ, the confidence that a token needs to leave early, to a hundredth")
    sentences = Enum(COUNTS, None, help="sentences measured on, 0 being the one typed; None is each panel's own")
    lesson = Int(None, min=1, max=max(lesson_notebooks(), default=0), allow_none=True, help="the lesson that is open")
    step = Int(1, min=1, max=99, help="the step of the lesson")

    @validate("model", "text", "plan", "other_text", "other_model", "other_plan")
    def _bounded(self, proposal: dict[str, Any]) -> str:
        name, value = proposal["trait"].name.removeprefix("other_"), str(proposal["value"])
        most = MODEL if name == "model" else limit(name)
        if len(value) > most:
            more = "" if name == "model" else f" (set by {variable(name)})"
            raise TraitError(f"it has {len(value):,} characters, and at most {most:,} are taken{more}")
        return value.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is not text

    @validate("panel")
    def _known(self, proposal: dict[str, Any]) -> str:
        from lens.panels._panel import panels  # not before: panels are made of what reads this

        if proposal["value"] not in panels():
            raise TraitError(f"it may be {', '.join(panels())}")
        return str(proposal["value"])

    @validate("cast")
    def _castable(self, proposal: dict[str, Any]) -> str:
        known = [*casts(), "difference"]
        if proposal["value"] not in known:
            raise TraitError(f"it may be {', '.join(known)}")
        return str(proposal["value"])

    @validate("exit")
    def _rounded(self, proposal: dict[str, Any]) -> float:
        if math.isnan(proposal["value"]):
            raise TraitError("it must be a number")
        return round(float(proposal["value"]), 2)
