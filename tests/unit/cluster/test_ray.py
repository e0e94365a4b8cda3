"""Ray is asked for in words, and only when it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lens.cluster._ray as home
from lens.errors import LensError


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "find_spec", lambda _: None)
    with pytest.raises(LensError, match=r"needs Ray, which is not installed: pip install 'layer-lens\[cluster\]'"):
        home.ray()


def test_a_cluster_that_nobody_uses_loads_no_ray() -> None:
    probe = "import sys, lens.cluster; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "False\n"
