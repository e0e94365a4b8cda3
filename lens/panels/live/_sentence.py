"""The box that a sentence is typed into."""

from __future__ import annotations

from typing import Any

import traitlets

from lens.panels.live._live import Live

__all__ = ["Sentence"]


class Sentence(Live, asset="sentence"):
    """A text box that follows typing: sent 120 ms after the last key, at once on blur and on Ctrl+Enter."""

    value = traitlets.Unicode("").tag(sync=True)
    placeholder = traitlets.Unicode("Type a sentence").tag(sync=True)
    label = traitlets.Unicode("Sentence").tag(sync=True)
    """What a screen reader calls the box."""
    maximum = traitlets.Int(20_000, min=1).tag(sync=True)
    """Characters (code points) accepted; what is beyond is cut, and a note under the box says so."""
    note = traitlets.Unicode("").tag(sync=True)
    """Small text under the box at the right, such as "12 tokens"."""

    @traitlets.validate("value")
    def _acceptable(self, proposal: dict[str, Any]) -> str:
        whole = proposal["value"].encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is not text
        return str(whole[: self.maximum])
