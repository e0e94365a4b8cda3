"""The page as it comes into being, also where that comes to nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from voila import handler
from voila.notebook_renderer import NotebookRenderer

__all__ = ["Renderer", "failed", "tell_failures"]


class Renderer(NotebookRenderer):
    """Voilà's, which tells the visitor where a kernel does not start or a page can't be made.

    Voilà's own page then stays at its skeleton, with signs of life for ever, and the host hears of it when memory is
    next collected.
    """

    async def generate_content_generator(self, *arguments: Any, **options: Any) -> AsyncIterator[tuple[str, Any]]:
        """The page piece by piece, each with the exporter's resources."""
        try:
            async for piece in super().generate_content_generator(*arguments, **options):
                yield piece
        except Exception:
            self.log.exception("A page could not be made")
            yield failed(self.request_handler), {}


def failed(page: Any) -> str:
    """What a visitor reads, in a page that has begun, where the rest of it can't be made."""
    words: str = page.render_template("failed.html")
    return words + "<script>window.voila_finish();</script>"


def tell_failures() -> None:
    """Have Voilà's pages made by our renderer: it has no setting for that."""
    handler.NotebookRenderer = Renderer
