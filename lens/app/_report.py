"""`lens report`: one page with every figure and table of the paper for a model."""

from __future__ import annotations

from typing import Any

__all__ = ["add_report"]


def add_report(commands: Any) -> None:
    """Add the command `report`."""
    commands.add_parser("report", help="one page with every figure and table of the paper for a model")
