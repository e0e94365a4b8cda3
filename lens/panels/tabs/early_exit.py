"""Leaving early: where each token of the sentence would leave, and what that keeps and saves."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np

from lens.analyses import early_exit, exit_layers, exit_threshold, exit_times
from lens.casts import Maps
from lens.models import Model
from lens.numerics import EarlyExit, ExitTimes
from lens.panels._charts import exit_spec
from lens.panels._desk import Desk
from lens.panels._doubt import same_token
from lens.panels._measured import Measured
from lens.panels._panel import Panel
from lens.panels._shelf import readable
from lens.panels._style import PLAIN
from lens.panels._undo import watch
from lens.panels.live import Chart, Exits, Facts

__all__ = ["PANEL", "EarlyExitPanel"]

AGREEMENT = 0.95
LEAVING = {"dynamic": "by confidence", "fixed": "one layer for all"}
TIMED = 40  # sentences that are timed one by one


class EarlyExitPanel(Measured):
    """A slider for λ; the sentence's tokens by the layer that they leave at; saved against agreement."""

    def __init__(self, desk: Desk) -> None:
        self.exits, self.chart = Exits(), Chart()
        self.lam = widgets.FloatSlider(0.3, min=-0.1, max=1.11, step=0.01, description="λ", style=PLAIN)
        self.cast = widgets.Dropdown(options=["mat", "id"], value="mat", description="Cast", style=PLAIN)
        self.savings = Facts()
        super().__init__(desk, "early exit", _measure, [self.exits, self.chart, self.savings])
        self.controls.children = (self.lam, self.cast, *self.controls.children)
        session = desk.session
        self.undo += [
            widgets.link((session, "exit"), (self.lam, "value")).unlink,
            widgets.link((session, "leave"), (self.cast, "value")).unlink,
            watch(session, ["exit", "leave"], self._moved),
            self.exits.on_message("pick", self._pick),
        ]

    def python(self) -> str:
        """Measure again what leaving early keeps and saves."""
        casts = _casts(self.desk.answer.model, self.desk.maps)
        return self.program("lens.early_exit", f"saved = found.saving({AGREEMENT})", casts=casts)

    def refresh(self) -> None:
        """Draw the sentence at once; measure the rest if nobody has."""
        if self.visible:
            self._draw_sentence()
        super().refresh()

    def draw(self) -> None:
        """Draw the curve and say what it means."""
        if self.result is None or not self.visible:
            return
        table, times = self.result
        self.chart.spec = exit_spec(table, self.lam.value, self.cast.value)
        self.savings.fill(**savings(table, times))

    def dim(self, busy: bool) -> None:
        """Show that the curve is being replaced."""
        self.chart.busy = self.savings.busy = busy

    def _moved(self) -> None:
        if self.visible:
            self._draw_sentence()
            self.draw()

    def _pick(self, message: dict[str, Any]) -> None:
        """Look at a token; of a masked model only the masks are drawn."""
        reading, place = self.desk.answer.reading, int(message["position"])
        if reading is not None and 0 <= place < len(reading.positions):
            self.desk.pick(reading.positions[place])

    def _draw_sentence(self) -> None:
        answer = self.desk.answer
        reading = answer.reading if answer else None
        if reading is None:
            self.exits.spec = {"tokens": [], "note": "There is nothing to leave from yet."}
        elif reading.target != answer.model.n_blocks:
            self.exits.spec = {
                "tokens": [],
                "note": "Set the target to the last layer: tokens leave with its prediction.",
            }
        elif self.cast.value not in reading.casts:
            self.exits.spec = {"tokens": [], "note": f"There are no {self.cast.value} maps yet: fit them under Fit."}
        else:
            self.exits.spec = picture(reading, self.cast.value, self.lam.value, answer.model.kind)


def picture(reading: Any, cast: str, lam: float, kind: str) -> dict[str, Any]:
    """The spec of the tokens of one reading to the last layer: the measure's rule, on this sentence."""
    c, last = reading.casts.index(cast), reading.target
    positions = np.array(reading.positions)
    confidence = (reading.probabilities[c, :, :, 0] - reading.probabilities[c, :, :, 1]).T  # (P, L+1)
    threshold = exit_threshold(
        lam, positions if kind == "causal" else np.full_like(positions, 3), (positions + 1).mean()
    )
    layers = exit_layers(confidence, threshold)
    own = reading.model_token_ids[:, 0]
    left = reading.token_ids[c, layers, np.arange(len(positions)), 0]
    tokens = [
        {
            "label": reading.tokens[position],
            "layer": int(layer),
            "confidence": float(confidence[p, layer]) if np.isfinite(confidence[p, layer]) else None,
            "threshold": float(threshold[p]),
            "prediction": reading.labels[int(left[p])],
            "model": reading.labels[int(own[p])],
            "agrees": bool(same_token(left[p], own[p])),
        }
        for p, (position, layer) in enumerate(zip(positions.tolist(), layers.tolist(), strict=True))
    ]
    kept = int(same_token(left, own).sum())
    note = (
        f"Mean layer {layers.mean():.1f} of {last}; {kept} of {len(own)} predictions are the full "
        "model's. A token leaves where its confidence p₁ − p₂ exceeds 0.9 λ + 0.1 exp(−4t/N), for token t of N."
    )
    return {"tokens": tokens, "layers": last, "note": note}


def _measure(model: Model, maps: Maps | None, texts: list[str], report: Any) -> tuple[EarlyExit, ExitTimes]:
    casts = _casts(model, maps)
    table = early_exit(model, texts, maps=maps, casts=casts, progress=report)
    best = next(s for s in table.saving(AGREEMENT) if s.cast == casts[-1] and s.how == "dynamic")
    return table, exit_times(model, texts[:TIMED], best.threshold, cast=casts[-1], maps=maps, progress=report)


def _casts(model: Model, maps: Maps | None) -> list[str]:
    return [cast for cast in readable(maps, model.n_blocks) if cast in ("id", "mat")]


def savings(table: EarlyExit, times: ExitTimes) -> dict[str, Any]:
    """The fewest layers that keep the agreement, each way of leaving."""
    return {
        "title": f"What leaving early saves at {AGREEMENT:.0%} agreement",
        "columns": [
            {"title": "cast", "format": "text"},
            {"title": "leaving", "format": "text"},
            {"title": "layers saved", "format": "number", "digits": 2},
            {"title": "share of layers", "format": "percent", "digits": 1},
            {"title": "agreement", "format": "percent", "digits": 1, "error": True},
        ],
        "rows": [
            [s.cast, LEAVING[s.how], s.saved, s.saved_share, [s.agreement, s.agreement_error]]
            for s in table.saving(AGREEMENT)
        ],
        "note": _in_time(times),
    }


def _in_time(times: ExitTimes) -> str:
    ratio, error = float(times.ratio.value), float(times.ratio.error)
    return (
        f"Layers saved are not time saved. On {times.sentences} sentences on {times.device}, leaving early with "
        f"{times.cast} at λ = {times.threshold:g} took {ratio:.2f} ± {error:.2f} times as long as the full model. One "
        f"look at the vocabulary costs as much as {times.break_even:.1f} blocks, and pays only if it saves more."
    )


PANEL = Panel(
    "early_exit",
    "Early exit",
    4,
    "Where each token would leave the model, and what that keeps and saves.",
    EarlyExitPanel,
    ("sentence",),
)
