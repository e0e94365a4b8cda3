"""Markdown as nested lists of words that a browser can draw without reading any markup."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["nodes"]

TAGS: Final = {
    "paragraph": "p",
    "strong": "strong",
    "emphasis": "em",
    "codespan": "code",
    "block_code": "pre",
    "list_item": "li",
    "link": "a",
}
BETWEEN: Final = {"softbreak": " ", "linebreak": "\n"}

Node = str | dict[str, Any]


def nodes(markdown: str) -> list[Node]:
    """Text and `{"tag", "children"}`, a link with its `href`; what has no tag here, such as HTML, stays as its text."""
    from mistune import create_markdown

    return _drawn(create_markdown(renderer="ast")(markdown))  # type: ignore[arg-type]


def _drawn(tokens: Iterable[dict[str, Any]]) -> list[Node]:
    return [node for token in tokens for node in _node(token)]


def _node(token: dict[str, Any]) -> list[Node]:
    kind = token["type"]
    children = _drawn(token["children"]) if "children" in token else [_words(token)]
    if kind == "list":
        return [{"tag": "ol" if token["attrs"]["ordered"] else "ul", "children": children}]
    if kind not in TAGS:
        return [child for child in children if child]
    found: dict[str, Any] = {"tag": TAGS[kind], "children": children}
    return [found | {"href": token["attrs"]["url"]} if kind == "link" else found]


def _words(token: dict[str, Any]) -> str:
    text: str = token.get("raw", BETWEEN.get(token["type"], ""))
    return html.unescape(text) if token["type"] == "text" else text  # "&amp;" is markdown for "&", but not in code
