"""Whether a model fits, with figures given by the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lens._memory import UNLIMITED, cgroup_free
from lens._source import Source
from lens.errors import ModelError
from lens.models import _room
from lens.models._load import read_config, read_weights
from lens.models._room import free_memory, needed, placement

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_what_weights_need(shared_build: Callable[..., Any]) -> None:
    hf = shared_build("gpt2")
    tables = sum(
        table.nbytes for table in hf.buffers()
    )  # in the first releases of transformers 5 GPT-2 has masks of its own

    def weights(dtype: torch.dtype | str) -> int:
        return needed(hf, dtype) - tables

    assert weights(torch.float32) == sum(tensor.nbytes for tensor in hf.parameters())
    assert weights(torch.bfloat16) == weights(torch.float32) / 2
    matrices = sum(tensor.numel() for tensor in hf.parameters() if tensor.ndim == 2)
    others = sum(tensor.numel() for tensor in hf.parameters() if tensor.ndim != 2)
    assert weights("int8") == matrices + 2 * others
    assert weights("int4") == matrices // 2 + 2 * others


def test_what_does_not_fit_is_refused_with_both_figures() -> None:
    with pytest.raises(ModelError, match=r"big needs about 11\.00 GB, but only 4\.00 GB of memory is free") as refusal:
        placement("big", 10_000_000_000, CPU, free=lambda _: 4_000_000_000)
    assert "bfloat16" in str(refusal.value)
    assert placement("small", 10_000, CPU, free=lambda _: 11_000) == {}


def test_a_folder_that_does_not_fit_is_refused_before_it_is_read(tmp_path: Path, build: Callable[..., Any]) -> None:
    build("gpt2").config.save_pretrained(tmp_path)  # there are no weights to read
    source = Source("here", folder=tmp_path)
    with pytest.raises(ModelError, match=r"here needs about 0\.00 GB, but only 0\.00 GB"):
        read_weights(source, read_config(source), "causal", "cpu", "auto", free=lambda _: 1000)


def test_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert placement("m", 100, GPU, free=lambda _: 1000) == {"device_map": {"": GPU}}
    with pytest.raises(ModelError, match="of GPU memory is free"):
        placement("m", 10_000, GPU, free=lambda place: 1000 if place.type == "cuda" else 10**9)


def test_without_accelerate_weights_pass_through_main_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(_room, "find_spec", lambda _: None)
    assert placement("m", 100, GPU, free=lambda _: 1000) == {}
    with pytest.raises(ModelError, match="main memory"):
        placement("m", 100, GPU, free=lambda place: 1000 if place.type == "cuda" else 10)


def test_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    spread = placement("m", 2000, GPU, free=lambda _: 1000)
    assert spread == {"device_map": "auto", "max_memory": {0: 1000, 1: 1000, 2: 1000}}
    with pytest.raises(ModelError, match="all GPUs together"):
        placement("m", 3000, GPU, free=lambda _: 1000)
    with pytest.raises(ModelError, match="of GPU memory is free"):
        placement("m", 2000, torch.device("cuda:1"), free=lambda _: 1000)  # that one was asked for
    monkeypatch.setattr(_room, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="accelerate is needed"):
        placement("m", 2000, GPU, free=lambda _: 1000)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_second_version_of_control_groups(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/user/job\n",
        "sys/fs/cgroup/user/job/memory.max": "max\n",
        "sys/fs/cgroup/user/job/memory.current": "100\n",
        "sys/fs/cgroup/user/memory.max": "1000\n",
        "sys/fs/cgroup/user/memory.current": "700\n",
        "sys/fs/cgroup/user/memory.stat": "anon 500\ninactive_file 150\n",
    }
    assert cgroup_free(write(tmp_path, files)) == 1000 - 700 + 150


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "9:cpu:/\n4:memory:/batch\n0::/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000",
        "sys/fs/cgroup/memory/batch/memory.limit_in_bytes": "2000",
        "sys/fs/cgroup/memory/batch/memory.usage_in_bytes": "1900",
        "sys/fs/cgroup/memory/batch/memory.stat": "total_inactive_file 30\n",
    }
    assert cgroup_free(write(tmp_path, files)) == 130


def test_no_control_groups(tmp_path: Path) -> None:
    assert cgroup_free(tmp_path) == UNLIMITED


def test_memory_is_free_here() -> None:
    assert 0 < free_memory(CPU) < UNLIMITED
