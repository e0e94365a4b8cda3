"""An engine of two replicas on a cluster of three machines in one goes on while all of Ray but its head is killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.flaky(reruns=1)  # Ray gives the processes of a node half a minute to start, whatever else runs
def test_visitors_go_on_with_the_same_numbers_until_the_head_dies_which_who_serves_them_is_told() -> None:
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.unit.cluster._nodes", folder],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        said = json.loads((Path(folder) / "said.json").read_text(encoding="utf-8"))
    assert said["shelf"] == {"outlives": True, "again": [None, 1], "left": 0}
    assert said["replicas"] == 2
    assert said["maps"] == {"at first": [True] * 8, "afterwards": [True] * 4}
    killed = {name: said[name] for name in ("ray::ProxyActor", "ray::ServeController", "a machine")}
    assert {name: each["same"] for name, each in killed.items()} == {name: [True, True] for name in killed}
    assert killed["ray::ProxyActor"]["waited"]
    assert killed["a machine"]["waited"]
    assert said["status"] == 2
    assert re.search(
        r"lens: The Ray cluster at \S+ has died, and the engine with it\. Start that cluster again", said["words"]
    )
