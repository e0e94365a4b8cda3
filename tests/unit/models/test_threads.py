"""Models are built in several threads at once, lens's among them: none spoils another, nor the process."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, initialization

import lens.models
from lens.errors import ModelError
from lens.models import _threads

UNTIES = hasattr(initialization, "no_tie_weights")  # as later releases of 5 do
CONFIG = {"n_layer": 1, "n_embd": 8, "n_head": 2, "vocab_size": 12, "bos_token_id": 0, "eos_token_id": 0}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """A test that fails leaves no damage to the others."""
    _threads.hold_to_threads()
    tie, dtype = PreTrainedModel.tie_weights, torch.get_default_dtype()
    yield
    PreTrainedModel.tie_weights = tie
    torch.set_default_dtype(dtype)


def tied(model: Any) -> bool:
    return model.lm_head.weight is model.transformer.wte.weight


def plain() -> Any:
    return GPT2LMHeadModel(GPT2Config(**CONFIG))


def contexts(dtype: torch.dtype) -> list[Any]:
    """In which transformers' own `from_pretrained` builds a model."""
    make = GPT2LMHeadModel.get_init_context
    found: list[Any] = make(*(dtype, False, False, None)[: len(inspect.signature(make).parameters)])
    return found


def building(leave: threading.Event, entered: threading.Event) -> threading.Thread:
    """A thread within the contexts in which transformers' own `from_pretrained` builds a half precision model."""

    def run() -> None:
        with ExitStack() as stack:
            for context in contexts(torch.bfloat16):
                stack.enter_context(context)
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_builds_that_overlap_put_back_what_was_there() -> None:
    """The first to enter leaves first: transformers 5 alone leaves half precision and untied weights behind."""
    leave, entered = (threading.Event(), threading.Event()), (threading.Event(), threading.Event())
    threads = [building(leave[0], entered[0])]
    assert entered[0].wait(10)
    threads.append(building(leave[1], entered[1]))
    assert not entered[1].wait(0.2)
    leave[0].set()
    threads[0].join()
    leave[1].set()
    threads[1].join()
    assert torch.get_default_dtype() == torch.float32
    assert tied(plain())


def test_a_model_made_while_another_thread_loads_has_its_weights_tied() -> None:
    leave, entered = threading.Event(), threading.Event()
    thread = building(leave, entered)
    assert entered.wait(10)
    made = plain()
    leave.set()
    thread.join()
    assert tied(made)
    if UNTIES:
        with initialization.no_tie_weights():  # in the thread itself, transformers' own word holds
            assert not tied(plain())


@pytest.fixture
def folder(tmp_path: Path, byte_level: Any) -> Path:
    GPT2LMHeadModel(GPT2Config(**CONFIG | {"vocab_size": len(byte_level)})).save_pretrained(tmp_path)
    byte_level.save_pretrained(tmp_path)
    return tmp_path


def test_ones_own_loads_beside_those_of_lens(folder: Path) -> None:
    wrong: list[object] = []

    def own() -> None:
        for _ in range(10):
            hf = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.bfloat16)
            wrong.extend([] if tied(hf) and hf.dtype == torch.bfloat16 else [hf])

    threads = [threading.Thread(target=own) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        hf = lens.models.load(folder, device="cpu").hf
        wrong.extend([] if tied(hf) and hf.dtype == torch.float32 else [hf])
    for thread in threads:
        thread.join()
    assert not wrong
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.skipif(not UNTIES, reason="this transformers unties no weights")
def test_damage_from_before_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "PATIENCE", 0.02)
    PreTrainedModel.tie_weights = lambda *_, **__: None
    with pytest.raises(ModelError, match=r"ties no weights any more.*Restart the kernel"):
        lens.models.load(folder, device="cpu").hf  # noqa: B018


@pytest.mark.skipif(not UNTIES, reason="this transformers unties no weights")
def test_a_build_from_before_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PreTrainedModel.tie_weights.__wrapped__
    PreTrainedModel.tie_weights = lambda *_, **__: None
    threading.Timer(0.05, lambda: setattr(PreTrainedModel, "tie_weights", whole)).start()
    _threads.hold_to_threads()
    assert PreTrainedModel.tie_weights.__wrapped__ is whole


def test_transformers_still_changes_the_process_by_these_names() -> None:
    """If it fails, a release of transformers has moved them: see what takes their place."""
    outermost, *inner = [context.func.__name__ for context in contexts(torch.float32) if hasattr(context, "func")]
    assert outermost == "alone"
    assert ("_no_tie_weights" in inner) == UNTIES
