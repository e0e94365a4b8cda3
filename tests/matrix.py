"""Runs the unit and contract tests under the oldest and the newest releases of what lens stands on.

    python -m tests.matrix [--rows oldest newest transformers-oldest …] [--tests tests/unit tests/contracts]

Each row is an environment of its own in which only the named packages differ; all else is taken from the environment
that runs this. So PyTorch, which is gigabytes, stays what it is unless a row names it (--row-add torch==2.10.0).
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
VARIED = ("transformers", "plotly", "ipywidgets", "anywidget", "voila", "pandas", "numpy", "safetensors")
TESTS = ["tests/unit", "tests/contracts"]


def lower_bounds() -> dict[str, str]:
    """Package → the oldest release that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return dict(line.split(",")[0].split(">=") for line in project["dependencies"])


def rows() -> dict[str, list[str]]:
    """Name of a row → what pip is to install for it; an empty row is the environment that runs this."""
    bounds = lower_bounds()
    oldest = {f"{name}-oldest": [f"{name}=={bounds[name]}.*"] for name in VARIED}
    return {
        "here": [],
        "oldest": [pin for pins in oldest.values() for pin in pins],
        "newest": ["--upgrade", *VARIED],
        **oldest,
    }


def environment(folder: Path, pins: list[str]) -> tuple[Path | None, str]:
    """The Python of a new environment above this one, and what pip said where it could not be made."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    if pins:
        command = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary=:all:",
            *pins,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, done.stderr.strip().splitlines()[-1]
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "zz-beneath.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # after its own: those win
    return python, ""


def versions(python: Path) -> str:
    """What the row is made of."""
    names = (*VARIED, "torch")
    code = f"from importlib.metadata import version\nprint(*(f'{{n}} {{version(n)}}' for n in {names!r}), sep=', ')"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def tested(python: Path, tests: list[str], log: Path) -> str:
    """The last line of pytest, and the names of what failed in the log."""
    settings = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", *tests]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    found = re.findall(r"^.*\b(?:passed|failed|errors?)\b.* in .*$", done.stdout, flags=re.MULTILINE)
    return found[-1] if found else f"pytest ended with {done.returncode}"


def main() -> int:
    """A line for each row; 1 if any failed or could not be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=rows(), default=["oldest", "newest"])
    parser.add_argument("--tests", nargs="+", default=TESTS)
    parser.add_argument("--row-add", nargs="+", default=[], help="pins for every row, as torch==2.10.0")
    parser.add_argument("--keep", type=Path, help="where environments and logs stay")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="lens-matrix-"))
    failed = False
    for name in chosen.rows:
        begun = time.monotonic()
        python, said = environment(folder / name, rows()[name] + chosen.row_add)
        result = tested(python, chosen.tests, folder / f"{name}.log") if python else f"could not be made: {said}"
        failed = failed or not re.fullmatch(r"(?!.*(failed|error)).*passed.*", result)
        print(
            f"| {name} | {versions(python) if python else ''} | {result} | {time.monotonic() - begun:.0f} s |",
            flush=True,
        )
    print(f"logs: {folder}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
