"""Disks that are full, folders that are closed, kills in the middle: what was there stays, and words say so."""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lens
from lens._whole import write_whole
from lens.analyses._checkpoint import Checkpoint
from lens.app import cli

OLD, NEW = "old " * 10, "new " * 10_000
NOBODY = 65534


def in_a_child(prepare: Callable[[], Any], work: Callable[[], Any]) -> str:
    """What work says in a process of its own, where it may do less."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            prepare()
            work()
            said = "done"
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is to be told
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as told:
        return told.read()


def no_room() -> None:
    """No file may grow beyond a few bytes, as on a disk that fills up in the middle of a write."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def nobody() -> None:
    """A folder without leave to write is closed to everyone but root."""
    if os.getuid() == 0:
        os.setuid(NOBODY)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that anyone may find."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    return tmp_path


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(OLD)
    assert in_a_child(no_room, lambda: write_whole(path, NEW)) == "OSError: [Errno 27] File too large"
    assert path.read_text() == OLD
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, NEW)
    assert path.read_text() == NEW


@pytest.mark.parametrize("at", ["write_text", "replace"])
def test_a_kill_leaves_one_whole_file(tmp_path: Path, at: str) -> None:
    path = tmp_path / "page.html"
    write_whole(path, OLD)
    if os.fork() == 0:
        setattr(Path, at, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        write_whole(path, NEW)
    os.wait()
    assert path.read_text() == OLD


def test_a_closed_folder_is_said(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir()
    (closed / "page.html").write_text(OLD)
    closed.chmod(0o555)
    said = in_a_child(nobody, lambda: write_whole(closed / "page.html", NEW))
    assert said.startswith("PermissionError: ")
    assert (closed / "page.html").read_text() == OLD


def test_a_link_stays_one_and_a_device_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(OLD)
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == NEW
    write_whole(Path(os.devnull), NEW)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_checkpoint_that_finds_no_room_keeps_the_one_before(tmp_path: Path) -> None:
    import torch

    kept = Checkpoint(tmp_path, "a fit")
    kept.keep("sums", {"x": torch.ones(3)}, {"sentences": 1})
    said = in_a_child(no_room, lambda: kept.keep("sums", {"x": torch.zeros(9999)}, {"sentences": 2}))
    assert said.startswith("LensError: The checkpoint could not be written (")
    found = kept.load("sums")
    assert found is not None
    assert (found[0]["x"].tolist(), found[1]) == ([1, 1, 1], {"sentences": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["sums.safetensors"]


@pytest.mark.parametrize("out", ["made", "made.yaml"])
def test_an_export_that_finds_no_room_leaves_nothing(tmp_path: Path, out: str) -> None:
    """A folder with a config and half of the weights would be found as a model."""
    model, plan, target = lens.load("demo", device="cpu"), "0-3 7-4 8-11", tmp_path / out
    line = ["export", "demo", "--plan", plan, "--out", str(target)]
    model.hf  # noqa: B018 - in the child it is loaded again, from memory

    def exported() -> None:
        assert cli.main(line) == 0

    said = in_a_child(no_room, exported)
    assert said != "done"
    assert not list(tmp_path.iterdir())
    assert in_a_child(lambda: None, exported) == "done"
    assert target.exists()


def test_a_view_that_finds_no_room_is_said(tmp_path: Path) -> None:
    place = tmp_path / "view.html"
    place.write_text(OLD)
    view = lens.explore("demo", "The old man")
    view.desk.settle()
    said = in_a_child(no_room, lambda: view.save(place))
    assert said == f"LensError: {place} can't be written (File too large). Give a file in a folder of yours."
    assert place.read_text() == OLD
