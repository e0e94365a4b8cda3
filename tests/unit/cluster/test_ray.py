"""Ray is asked for in words, and only when it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lens.cluster._ray as home
from lens.errors import LensError
from tests.unit.cluster._served import free_port


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "find_spec", lambda _: None)
    with pytest.raises(LensError, match=r"needs Ray, which is not installed: pip install 'layer-lens\[cluster\]'"):
        home.ray()


def test_a_cluster_that_nobody_uses_loads_no_ray() -> None:
    probe = "import sys, lens.cluster; print('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "False\n"


START = """
import sys, ray
from ray import serve
import lens.cluster
from lens.app.cli import main

ray.init = serve.start = serve.run = lambda *_, **__: None
ray.cluster_resources = dict
lens.cluster._serve._shelf = lens.cluster.died = lambda *_: None
assert main(["serve", "demo", "--port", sys.argv[1]]) == 0
print(*({"torch", "transformers"} & set(sys.modules)))
"""


def test_who_only_starts_an_engine_loads_no_model_nor_what_models_need() -> None:
    """Ray itself, which is not started here, has neither."""
    command = [sys.executable, "-c", START, str(free_port())]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[1:] == [""]
    assert said.startswith("An engine with demo is at http")
