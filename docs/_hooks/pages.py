"""What mkdocs does not do by itself: tables from the code, and the lessons as pages."""

from __future__ import annotations

import re
from typing import Any

from tables import TABLES

MARK = re.compile(r"^<!-- lens: (\w+)((?: [\w.]+)*) -->$", flags=re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put each table in its place."""
    return MARK.sub(lambda found: TABLES[found[1]](*found[2].split()), markdown)
