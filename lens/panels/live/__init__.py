"""Live pictures: small widgets of our own that follow the hand. One `.py`, one `.js` and one `.css` each."""

from __future__ import annotations

from lens.panels.live._chart import Chart
from lens.panels.live._chips import Chips
from lens.panels.live._exits import Exits
from lens.panels.live._facts import Facts
from lens.panels.live._guide import Guide
from lens.panels.live._heatmap import HeatMap
from lens.panels.live._live import Live, Picture
from lens.panels.live._notice import Notice
from lens.panels.live._reach import Reach
from lens.panels.live._sentence import Sentence
from lens.panels.live._share import Share
from lens.panels.live._shifts import Shifts
from lens.panels.live._strip import Strip, items_of, plan_of
from lens.panels.live._table import LensTable
from lens.panels.live._topk import TopK

__all__ = [
    "Chart",
    "Chips",
    "Exits",
    "Facts",
    "Guide",
    "HeatMap",
    "LensTable",
    "Live",
    "Notice",
    "Picture",
    "Reach",
    "Sentence",
    "Share",
    "Shifts",
    "Strip",
    "TopK",
    "items_of",
    "plan_of",
]
