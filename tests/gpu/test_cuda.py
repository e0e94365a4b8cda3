"""On a GPU, all is what the model says there, and in float32 what a CPU says: `pytest tests/gpu` where there is one.

`LENS_TEST_DEVICE=cpu` runs these tests without one, to see that they themselves are in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

import lens
from lens.analyses import heldout_sentences
from lens.errors import LensError
from lens.execution import as_model, execute
from lens.models import Model, load
from lens.plans import Plan
from tests._questions import QUESTIONS, TEXT
from tests.contracts.test_families import exactly, plain_logits, replayed, rows
from tests.contracts.test_recipes import PLANS, kept

DEVICE = os.environ.get("LENS_TEST_DEVICE", "cuda")
NEW, PROMPT = 12, [5, 17, 80, 4, 33]
# a question whose answer is one long chain of choices, each between numbers that may be nearly equal
CHOICES = ("generate",)

pytestmark = pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="there is no GPU")
Build = Callable[..., Any]


@pytest.fixture(params=["float32", "bfloat16"])
def model(case: str, build: Build, request: pytest.FixtureRequest) -> Model:
    """Each tiny model on the GPU, in both precisions."""
    return load(build(case).to(DEVICE, getattr(torch, request.param)))


@pytest.fixture(scope="module")
def there() -> Model:
    return lens.load("demo", device=DEVICE, dtype="float32")


@pytest.fixture(scope="module")
def here() -> Model:
    return lens.load("demo", device="cpu")


@pytest.mark.parametrize("padding", ["left", "right"])
def test_replaying_and_the_full_plan_are_the_models_own_forward(model: Model, padding: Any) -> None:
    recording = model.record(rows(), padding=padding)
    own = plain_logits(model, recording).logits
    assert recording.streams[0].device.type == own.device.type == DEVICE
    exactly(recording.logits, own)
    exactly(replayed(recording), own)
    exactly(model.unembed(execute(recording, Plan.full(model.n_blocks))[-1]), own)


def test_greedy_tokens_are_the_models_own(model: Model) -> None:
    ids = torch.tensor([PROMPT], device=DEVICE)
    planned = as_model(model, Plan.full(model.n_blocks))
    with torch.no_grad():
        exactly(planned(input_ids=ids).logits, model.hf(input_ids=ids).logits)
    if model.kind == "causal":
        options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        assert torch.equal(planned.generate(ids, **options), model.hf.generate(ids, **options))


def test_a_cache_changes_nothing(case: str, build: Build) -> None:
    model = load(build(case).to(DEVICE))
    if model.kind == "masked":
        return
    for name, plan in PLANS.items():
        planned, ids, cache, seen = as_model(model, plan), torch.tensor([PROMPT], device=DEVICE), None, []
        written = list(PROMPT)
        for _ in range(NEW):
            with torch.no_grad():
                out = planned(input_ids=ids, past_key_values=cache, use_cache=True)
            cache, ids = kept(out), out.logits[:, -1:].argmax(-1)
            seen.append(out.logits[0, -1])
            written.append(int(ids))
        with torch.no_grad():
            whole = planned(input_ids=torch.tensor([written[:-1]], device=DEVICE), use_cache=False).logits[0]
        expected = whole[len(PROMPT) - 1 :]
        scale = float(expected.abs().max())
        torch.testing.assert_close(
            torch.stack(seen), expected, rtol=1e-4, atol=1e-4 * scale, equal_nan=True, msg=f"{name} {plan}"
        )


def assert_close(one: Any, other: Any, where: str) -> None:
    """What two devices say: numbers to a thousandth, and choices between numbers in all but one of a hundred places."""
    assert type(one) is type(other), where
    if is_dataclass(one):
        for item in fields(one):
            assert_close(getattr(one, item.name), getattr(other, item.name), f"{where}.{item.name}")
    elif isinstance(one, dict):
        assert one.keys() == other.keys() or not where.endswith("labels"), where
        for key in one.keys() & other.keys():
            assert_close(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, (tuple, list)):
        assert len(one) == len(other), where
        for place, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            assert_close(mine, theirs, f"{where}[{place}]")
    elif isinstance(one, np.ndarray) and one.dtype.kind in "iub":
        assert (one == other).mean() >= 0.99, f"{where}: {(one != other).sum()} of {one.size} differ"
    elif isinstance(one, (np.ndarray, float)):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=5e-4, equal_nan=True, err_msg=where)
    else:
        assert one == other, where


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_analysis_says_what_it_says_on_a_cpu(question: str, there: Model, here: Model) -> None:
    found, expected = QUESTIONS[question](there), QUESTIONS[question](here)
    if question in CHOICES:
        assert found.ids[:3] == expected.ids[:3]
    else:
        assert_close(found, expected, question)


def test_a_masked_model_says_what_it_says_on_a_cpu() -> None:
    text = "The old man sat by the [MASK]."
    found, expected = (
        lens.read(lens.load("demo-bert", device=where, dtype="float32"), text) for where in (DEVICE, "cpu")
    )
    assert_close(found, expected, "demo-bert")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_reading_is_the_formula_over_the_models_own_logits(dtype: str) -> None:
    """Each number from the model's own hidden states, norm and head on that device, in numpy's float64."""
    model = lens.load("demo", device=DEVICE, dtype=dtype)
    reading = lens.read(model, TEXT, casts=("id",))
    with torch.no_grad():
        hidden = model.hf(
            torch.tensor([model.encode(TEXT).ids], device=DEVICE), output_hidden_states=True
        ).hidden_states
        stack = torch.stack(hidden[:-1])[:, 0]
        logits = model.hf.lm_head(model.hf.transformer.ln_f(stack)).double().cpu().numpy()
        own = model.hf.lm_head(hidden[-1])[0].double().cpu().numpy()
    close = {"rtol": 0, "atol": 1e-4 if dtype == "float32" else 0.05}  # of a logit of ten, bfloat16 keeps 0.03
    log_p, log_q = log_softmax(logits, -1), log_softmax(own, -1)
    top = np.take_along_axis(log_p, reading.token_ids[0, :-1], -1)
    np.testing.assert_allclose(np.log(reading.probabilities[0, :-1]), top, **close)
    assert np.all(top[..., 0] >= log_p.max(-1) - close["atol"])
    np.testing.assert_allclose(reading.entropy[0, :-1], -(np.exp(log_p) * log_p).sum(-1), **close)
    np.testing.assert_allclose(reading.kl[0, :-1], (softmax(own, -1) * (log_q - log_p)).sum(-1), **close)


def test_maps_fitted_on_the_gpu_are_those_of_a_cpu(there: Model, here: Model) -> None:
    fits = [
        lens.fit(model, heldout_sentences()[:80], kind="mat", pairs="final", holdout=0.2) for model in (there, here)
    ]
    for pair in fits[1].pairs["mat"]:
        one, other = (maps.tensors("mat", *pair)["matrix"].float().cpu() for maps in fits)
        assert float((one - other).norm() / other.norm()) < 1e-2, pair
    read, expected = (lens.read(model, TEXT, maps=maps) for model, maps in zip((there, here), fits, strict=True))
    np.testing.assert_allclose(read.kl, expected.kl, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_reads_sweeps_fits_and_writes(dtype: str) -> None:
    model = lens.load("demo", device=DEVICE, dtype=dtype)
    whole = lens.load("demo", device=DEVICE, dtype="float32")
    texts = heldout_sentences()[:20]
    plans = ["0-2 4-11", "0-3 [4-7] 8-11"]
    found, expected = (lens.sweep(each, texts, plans).loss.value for each in (model, whole))
    np.testing.assert_allclose(found, expected, rtol=0.02)
    maps = lens.fit(model, texts, kind="mat", pairs="final", holdout=0.2)
    assert np.isfinite(lens.read(model, TEXT, maps=maps).kl).all()
    assert len(lens.generate(model, TEXT, "0-4 6-11", max_new_tokens=5).ids) == 5


@pytest.fixture
def scarce() -> Iterator[None]:
    """A GPU of which this process may use a few hundred megabytes more than it does."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 200 * 2**20) / whole)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.skipif(DEVICE != "cuda", reason="there is no GPU")
def test_memory_that_runs_out_is_said_and_the_next_question_is_answered(scarce: None) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=2, n_embd=64, n_head=2, vocab_size=200_000, n_positions=1024)
    large = lens.load(GPT2LMHeadModel(config).to(DEVICE), tokenizer=lens.load("demo").tokenizer)
    long = " ".join(heldout_sentences()[:60])
    with pytest.raises(LensError, match="Memory ran out"):
        lens.read(large, long, casts=("id",))
    assert lens.read(large, TEXT, casts=("id",)).probabilities.shape[0] == 1


@pytest.mark.skipif(DEVICE != "cuda", reason="there is no GPU")
def test_a_model_spread_over_gpu_and_memory_is_read_alike(tmp_path: Any) -> None:
    """As accelerate spreads one that is larger than a GPU: some blocks lie elsewhere, and come when they run."""
    from transformers import AutoModelForCausalLM

    whole = lens.load("demo", device=DEVICE, dtype="float32")
    whole.hf.save_pretrained(tmp_path)
    room = {0: sum(parameter.nbytes for parameter in whole.hf.parameters()) // 2, "cpu": 8 * 2**30}
    hf = AutoModelForCausalLM.from_pretrained(tmp_path, device_map="auto", max_memory=room, dtype=torch.float32)
    assert {"cpu", 0} <= set(hf.hf_device_map.values()), hf.hf_device_map
    spread = lens.load(hf, tokenizer=whole.tokenizer)
    for ask in (
        lambda m: QUESTIONS["layers"](m).norm,
        lambda m: QUESTIONS["sweep"](m).loss,
        lambda m: lens.read(m, TEXT, casts=("id",)).kl,
    ):
        assert_close(ask(spread), ask(whole), "spread")


def test_a_gpu_is_taken_where_there_is_one() -> None:
    assert lens.load("demo").device.type == DEVICE
