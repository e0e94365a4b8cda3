"""What mkdocs does not do by itself: tables from the code, and the lessons as pages."""

from __future__ import annotations

import re
from typing import Any

import lessons
from mkdocs.structure.files import File
from plotly.offline import get_plotlyjs
from tables import TABLES

MARK = re.compile(r"^<!-- lens: (\w+)((?: [\w.]+)*) -->$", flags=re.MULTILINE)
LESSONS = "lessons/index.md"


def on_config(config: Any) -> Any:
    """Each lesson's page comes behind the list of lessons."""
    for section in config.nav:
        pages = next(iter(section.values()))
        if isinstance(pages, list) and LESSONS in pages:
            pages += [{lessons.title(path): f"lessons/{path.stem}.md"} for path in lessons.notebooks()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the lessons' pages, and plotly's script if one of them has a figure."""
    pages = {f"lessons/{path.stem}.md": lessons.page(path) for path in lessons.notebooks()}
    if any('class="lens-figure"' in page for page in pages.values()):
        pages["assets/plotly.min.js"] = get_plotlyjs()
    for path in lessons.notebooks():
        pages |= {f"lessons/live/{path.stem}-{place}.html": html for place, html in lessons.saved(path).items()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put each table in its place, and have figures drawn by plotly's own copy here."""
    if 'class="lens-figure"' in markdown:
        markdown += '\n<script src="../assets/plotly.min.js"></script>\n<script src="../assets/figures.js"></script>\n'
    return MARK.sub(lambda found: TABLES[found[1]](*found[2].split()), markdown)
