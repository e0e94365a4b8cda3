"""An engine of two replicas on a cluster of three machines in one goes on while parts of Ray are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.flaky(reruns=1)  # Ray gives the processes of a node half a minute to start, whatever else runs
def test_visitors_go_on_with_the_same_numbers_whatever_of_ray_is_killed_and_keep_their_maps() -> None:
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
    assert said["replicas"] == 2
    assert said["maps"] == {"at first": [True] * 8, "afterwards": [True] * 4}
    assert [said[name]["same"] for name in ("ray::ProxyActor", "ray::ServeController")] == [True, True]
    assert said["ray::ProxyActor"]["waited"]
