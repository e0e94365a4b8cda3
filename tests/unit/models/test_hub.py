"""Models come from a hub that stalls, drops, lies or is none: words within a stated time, and then a whole model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lens.models
from tests.unit.casts._hub import hub
from tests.unit.models._faults import FAULTS, FaultyHub

CLIENT = """
import json, sys, time, urllib.request
waited = []
time.sleep = waited.append  # between the tries of the hub's own client
import lens.models
from lens.errors import LensError

def tried(name):
    waited.clear()
    begun = time.monotonic()
    try:
        said = lens.models.load(name, device="cpu").fingerprint
    except LensError as error:
        said = f"{type(error).__name__}: {error}"
    return said, time.monotonic() - begun + sum(waited)

for name in sys.argv[2:]:
    first = tried(name)
    urllib.request.urlopen(f"{sys.argv[1]}/heal/{name}").read()
    print("told", json.dumps([name, *first, *tried(name)]), flush=True)
"""
SLOW = {("stall", "model.safetensors"), ("stall-within", "config.json")}  # seconds, and as the other file
CASES = [
    (fault, file) for fault in FAULTS for file in ("config.json", "model.safetensors") if (fault, file) not in SLOW
]
PATIENCE = (
    40.0  # seconds until it is said: six tries of a second each, where it would be ten, and the waits between them
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, build: Callable[..., Any], byte_level: Any) -> dict[str, Any]:
    """For each fault and file: what was said at first, after how long, and what when the hub had healed."""
    folder = tmp_path_factory.mktemp("hub")
    hf = build("gpt2")
    hf.resize_token_embeddings(len(byte_level), mean_resizing=False)
    hf.save_pretrained(folder / "model")
    byte_level.save_pretrained(folder / "model")
    files = {path.name: path.read_bytes() for path in (folder / "model").iterdir()}
    names = [f"{fault}/{file}" for fault, file in CASES]
    with hub(FaultyHub, healed=set()) as (address, repos):
        repos.update({name: dict(files) for name in names})
        settings = {"HF_ENDPOINT": address, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_XET": "1"}
        settings |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "0", "LENS_MODELS": ""}
        settings |= {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1"}
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, address, *names],
            env=os.environ | settings, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line[5:]) for line in done.stdout.splitlines() if line.startswith("told ")]
    whole = lens.models.load(folder / "model", device="cpu").fingerprint
    return {"whole": whole} | {name: rest for name, *rest in lines}


SAID = {
    "stall": "the connection broke off",
    "stall-within": "the connection broke off",
    "drop": "the connection broke off",
    "short": "less came than was announced",
    "page": "what came is no model but something else",
    "lie": "what came is no model but something else",
    "429": "the hub is asked too often from here (status 429)",
    "500": "the hub itself has trouble (status 500)",
    "loop": "its address leads in a circle",
}


@pytest.mark.parametrize(("fault", "file"), CASES)
def test_what_the_hub_does_wrong_is_said_and_the_next_try_works(told: dict[str, Any], fault: str, file: str) -> None:
    said, seconds, then, _ = told[f"{fault}/{file}"]
    assert said.startswith("ModelError: ")
    assert f"could not be fetched: {SAID[fault]}" in said
    assert seconds < PATIENCE
    assert then == told["whole"]


OFFERED = """
import torch
torch.load = lambda *_, **__: exit("a pickle was opened")
import lens.models
for name in ("some/pickles", "some/whole"):
    try:
        print("told", lens.models.load(name, device="cpu").hf.config.model_type)
    except lens.LensError as error:
        print("told", error)
"""


def test_where_visitors_come_the_hub_gives_no_pickle_under_another_name(
    tmp_path: Path, build: Callable[..., Any], byte_level: Any
) -> None:
    hf = build("gpt2")
    hf.resize_token_embeddings(len(byte_level), mean_resizing=False)
    hf.save_pretrained(tmp_path / "model")
    byte_level.save_pretrained(tmp_path / "model")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(hf.state_dict(), "weights.bin")}
    pickles = {name: content for name, content in whole.items() if name != "model.safetensors"}
    pickles |= {"model.safetensors.index.json": json.dumps(index).encode(), "weights.bin": b"a pickle"}
    with hub() as (address, repos):
        repos.update({"some/pickles": pickles, "some/whole": whole})
        settings = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
        settings |= {"HF_HUB_OFFLINE": "0", "LENS_MODELS": "some/pickles,some/whole"}
        done = subprocess.run(
            [sys.executable, "-c", OFFERED],
            env=os.environ | settings, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
    told = [line[5:] for line in done.stdout.splitlines() if line.startswith("told ")]
    assert told[0].startswith("The index of some/pickles's weights names 'weights.bin'; "), done.stderr
    assert told[1:] == ["gpt2"]
