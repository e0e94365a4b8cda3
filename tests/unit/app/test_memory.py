"""A whole session fits into what mybinder.org gives: 1 GB, counted by the system, not by us."""

from __future__ import annotations

import subprocess
import sys

GIGABYTE = 2**30
SESSION = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))

import ipykernel.kernelapp
from lens.engine import InlineEngine
from lens.panels import Explore, _measured, panels
from lens.panels._lesson import lessons
from lens.panels._session import Session

every = _measured.heldout_sentences()
_measured.heldout_sentences = lambda: every[:12]  # more than fill a batch: others take time, not memory
bench = Explore(Session(text="She opened the door and saw the"), InlineEngine())
for key in panels():
    bench.session.panel = key
    bench.panel(key)
    assert bench.desk.problem is None, bench.desk.problem
bench.session.model = "demo-bert"
for number, lesson in lessons().items():
    for step in range(1, len(lesson.steps) + 1):
        bench.teaching.guide._handle_custom_msg({{"kind": "go", "lesson": number, "step": step}}, [])
        assert (bench.session.lesson, bench.session.step, bench.desk.problem) == (number, step, None)
if sys.platform == "linux":  # where the most that getrusage knows of is what the process that started this one held
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(1024 * int(peak.split()[1]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def session(limit: int) -> subprocess.CompletedProcess[str]:
    """Every panel looked at, another model, and every step of every lesson, as the rail opens it.

    No more than `limit` bytes of data can be had.
    """
    code = SESSION.format(limit=limit)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600)


def test_a_session_through_every_panel_and_every_lesson_stays_under_a_gigabyte() -> None:
    run = session(GIGABYTE)
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout.split()[-1]) < GIGABYTE


def test_the_limit_is_one_that_stops_a_session() -> None:
    assert session(GIGABYTE // 8).returncode != 0
