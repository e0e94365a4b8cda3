"""A test may be skipped for the reasons in tests/skips.txt only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTED = (ROOT / "tests" / "skips.txt").read_text(encoding="utf-8").splitlines()[-1]


def outcome(folder: Path, source: str) -> str:
    """How pytest ends, under the project's own conftest, on one file of tests."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "skips.txt").write_text((ROOT / "tests" / "skips.txt").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "test_it.py").write_text(f"import pytest\n{source}", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--quiet",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
    ]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return run.stdout.strip().splitlines()[-1]


def test_a_listed_reason_is_a_skip(tmp_path: Path) -> None:
    assert outcome(tmp_path, f"def test_it(): pytest.skip({LISTED!r})").startswith("1 skipped")


@pytest.mark.parametrize(
    "source",
    [
        "def test_it(): pytest.skip('not today')",
        "@pytest.mark.skip\ndef test_it(): pass",
        "@pytest.mark.skipif(True, reason='not today')\ndef test_it(): pass",
        "pytest.importorskip('no_such_package')\ndef test_it(): pass",
    ],
)
def test_any_other_reason_is_a_failure(source: str, tmp_path: Path) -> None:
    assert outcome(tmp_path, source).startswith(("1 failed", "1 error"))
