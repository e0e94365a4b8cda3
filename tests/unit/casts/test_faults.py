"""What is left of maps when the process dies in the middle of saving them, and when the hub lies."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lens.casts import Maps
from lens.errors import MapsError
from tests.unit.casts.test_maps import CARD

OLD = Maps(CARD, {"mat.0.3.matrix": torch.zeros(4, 4)})
NEW = Maps(replace(CARD, seed=7), {"mat.0.3.matrix": torch.ones(4, 4)})


@pytest.mark.parametrize("renames", range(5))
def test_a_save_that_is_killed_leaves_one_whole_save_or_none(tmp_path: Path, renames: int) -> None:
    """kill −9 after each of its renames: old card and new tensors are never read as one."""
    OLD.save(tmp_path)
    if (child := os.fork()) == 0:
        rename, done = Path.replace, []

        def counted(path: Path, target: Path) -> Path:
            if len(done) == renames:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(path)
            return rename(path, target)

        Path.replace = counted  # type: ignore[method-assign]
        NEW.save(tmp_path)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == (0 if renames == 4 else -signal.SIGKILL)
    if renames == 1:  # the new tensors beside the old card
        with pytest.raises(MapsError, match="are not of one save"):
            Maps.load(tmp_path)
    else:
        found = Maps.load(tmp_path)
        ones = found.tensors("mat", 0, 3)["matrix"]
        assert (found.card.seed, float(ones[0, 0])) == ((0, 0.0) if renames == 0 else (7, 1.0))
    assert Maps.load(NEW.save(tmp_path)).card.seed == 7  # and the next save mends it


@pytest.mark.parametrize("size", [0, 7, 8, 100, 200])
def test_half_a_file_is_never_read_as_whole(tmp_path: Path, size: int) -> None:
    """As a full disk or a hub that drops the connection leaves one."""
    whole = (NEW.save(tmp_path) / "maps.safetensors").read_bytes()
    assert len(whole) > 200
    (tmp_path / "maps.safetensors").write_bytes(whole[:size])
    with pytest.raises(MapsError, match="can't be read"):
        Maps.load(tmp_path)


def test_a_number_too_large_for_half_precision_is_not_stored_as_infinity(tmp_path: Path) -> None:
    large = Maps(CARD, {"mat.0.3.matrix": torch.full((4, 4), 1e5)})
    with pytest.raises(MapsError, match=r"mat\.0\.3\.matrix has values too large for float16\. Use bfloat16"):
        large.save(tmp_path, torch.float16)
    assert not list(tmp_path.iterdir())
    large.save(tmp_path, torch.bfloat16)
