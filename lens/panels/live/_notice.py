"""An error or a remark, in its place."""

from __future__ import annotations

import traitlets

from lens.panels.live._live import Live

__all__ = ["Notice"]


class Notice(Live, asset="notice"):
    """One message with what to do next; sends `{"kind": "action", "id": …}` when its button is pressed."""

    kind = traitlets.Enum(["error", "info", "none"], "none").tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)
    detail = traitlets.Unicode("").tag(sync=True)
    action = traitlets.Dict(
        per_key_traits={"id": traitlets.Unicode(), "label": traitlets.Unicode()}, allow_none=True, default_value=None
    ).tag(sync=True)
    reserve = traitlets.Bool(False).tag(sync=True)
    """Keep room for one line even when there is nothing to say."""

    def error(self, text: str, detail: str = "", action: dict[str, str] | None = None) -> None:
        """Say what went wrong and what to do next."""
        self.show(kind="error", text=text, detail=detail, action=action)

    def info(self, text: str, detail: str = "", action: dict[str, str] | None = None) -> None:
        """Say something worth knowing."""
        self.show(kind="info", text=text, detail=detail, action=action)

    def clear(self) -> None:
        """Say nothing."""
        self.show(kind="none", text="", detail="", action=None)
