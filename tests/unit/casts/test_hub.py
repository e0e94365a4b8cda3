"""Maps go to a hub and come back, through huggingface_hub's own client and a stand-in of the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lens.casts import Maps
from tests.unit.casts._hub import TOKEN, hub
from tests.unit.casts.test_maps import CARD

CLIENT = """
import sys
from lens.casts import Maps
from lens.errors import MapsError
try:
    command, *rest = sys.argv[1:]
    maps = Maps.load(rest[0])
    print(maps.push_to_hub(rest[1], token=rest[2]) if command == "push" else maps.save(rest[1]))
except MapsError as error:
    print("MapsError:", error)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Maps(CARD, {"mat.0.3.matrix": torch.arange(16.0).reshape(4, 4)}).save(tmp_path / "maps")


def client(address: str, home: Path, *arguments: str) -> str:
    """What a new process says: the address of a hub is read when its library is imported."""
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    settings |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    settings |= {"HF_HUB_DOWNLOAD_TIMEOUT": "3", "HF_HUB_ETAG_TIMEOUT": "3", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", CLIENT, *arguments]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_maps_come_back_from_a_hub_as_they_went(folder: Path, tmp_path: Path) -> None:
    with hub() as (address, repos):
        assert client(address, tmp_path / "a", "push", str(folder), "someone/maps", TOKEN).endswith("someone/maps")
        assert set(repos["someone/maps"]) == {"README.md", "card.json", "maps.safetensors", "r2.svg"}
        repos["someone/maps"]["not-ours.bin"] = b"x"
        client(address, tmp_path / "b", "load", "someone/maps", str(tmp_path / "back"))
        assert not list((tmp_path / "b").rglob("not-ours.bin"))
    back = Maps.load(tmp_path / "back")
    assert back.card == CARD
    assert torch.equal(back.tensors("mat", 0, 3)["matrix"], torch.arange(16.0).reshape(4, 4))


def test_what_a_hub_has_against_it_is_said(folder: Path, tmp_path: Path) -> None:
    with hub() as (address, _):
        said = client(address, tmp_path / "a", "load", "someone/else", str(tmp_path / "x"))
        assert "There is neither a folder nor a repository on the Hugging Face hub called 'someone/else'" in said
        said = client(address, tmp_path / "a", "push", str(folder), "someone/maps", "hf_wrong")
        assert "MapsError:" in said
        assert "hf auth login" in said
    with hub(broken=True) as (address, _):
        said = client(address, tmp_path / "a", "load", "someone/maps", str(tmp_path / "x"))
        assert "could not be reached for 'someone/maps'" in said
        assert "give a local folder of maps" in said
    assert "is no name of a repository" in client(
        "http://127.0.0.1:9", tmp_path / "a", "push", str(folder), "no name", ""
    )
