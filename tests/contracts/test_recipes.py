"""Every recipe on every family: with a cache as without, and the identity as Hugging Face's own model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lens.errors import LensError, PlanError
from lens.execution import as_model, generate
from lens.models import Model, load
from lens.plans import Plan, Recipe, recipe, recipes

NAMES = ("cache", "past_key_values")
NEW = 32
PROMPT = [5, 17, 80, 4, 33]
UNFITTED = {"jump": {"cast": "id"}, "alternation": {"cast": "id", "true": 2}}
PLANS = {
    name: recipe(name, 4, **UNFITTED.get(name, {}))
    for name in recipes()
    if name != "linear"  # its maps need a fit: tests/oracle/test_surgery.py
}


@pytest.fixture
def model(case: str, tiny: Callable[..., Any]) -> Model:
    made: Model = tiny(case)
    return made


def kept(out: Any) -> Any:
    """Keys and values in what a forward returns, as this release of transformers calls them."""
    found = dict(out.items())
    return found["cache"] if "cache" in found else found["past_key_values"]


def written(planned: Any, new: int) -> tuple[list[int], torch.Tensor]:
    """Greedy tokens, one forward each on keys and values kept, and the logits they were chosen from."""
    ids, cache, logits = torch.tensor([PROMPT]), None, []
    for _ in range(new):
        with torch.no_grad():
            out = planned(input_ids=ids, past_key_values=cache, use_cache=True)
        cache, ids = kept(out), out.logits[:, -1:].argmax(-1)
        logits.append(out.logits[0, -1])
    return [int(each.argmax()) for each in logits], torch.stack(logits)


def test_a_cache_changes_nothing(model: Model) -> None:
    if model.kind == "masked":
        for plan in PLANS.values():
            ids = torch.tensor([PROMPT])
            with torch.no_grad():
                assert as_model(model, plan)(input_ids=ids).logits.shape == (1, len(PROMPT), model.vocab_size)
        return
    for name, plan in PLANS.items():
        planned = as_model(model, plan)
        tokens, logits = written(planned, NEW)
        with torch.no_grad():
            whole = planned(input_ids=torch.tensor([[*PROMPT, *tokens[:-1]]]), use_cache=False).logits[0]
        expected = whole[len(PROMPT) - 1 :]
        scale = float(expected.abs().max())
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * scale, equal_nan=True, msg=name)
        assert tokens == expected.argmax(-1).tolist(), name


def test_the_identity_writes_what_the_model_writes(model: Model) -> None:
    ids = torch.tensor([PROMPT])
    planned = as_model(model, Plan.full(model.n_blocks))
    with torch.no_grad():
        assert torch.equal(planned(input_ids=ids).logits, model.hf(input_ids=ids).logits)
    if model.kind == "causal":
        options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        assert torch.equal(planned.generate(ids, **options), model.hf.generate(ids, **options))


def test_the_model_stays_as_it_was(model: Model) -> None:
    before = {name: value.clone() for name, value in model.hf.state_dict().items()}
    config = model.hf.config.to_json_string()
    planned = as_model(model, "0 [1-2]x2 3")
    with torch.no_grad():
        planned(input_ids=torch.tensor([PROMPT]))
    with pytest.raises(IndexError):
        planned(input_ids=torch.tensor([[model.vocab_size + 99]]))
    assert isinstance(planned, type(model.hf))
    assert all("forward" not in block.__dict__ for block in model.anatomy.blocks)
    assert planned.get_input_embeddings() is model.hf.get_input_embeddings()
    assert all(torch.equal(value, before[name]) for name, value in model.hf.state_dict().items())
    assert model.hf.config.to_json_string() == config


@pytest.mark.parametrize("each", recipes().values(), ids=lambda each: each.name)
def test_a_recipe_keeps_its_promises(each: Recipe) -> None:
    for n_blocks in (2, 3, 5, 12, 31):
        plan = each(n_blocks)
        assert Plan.parse(str(plan), n_blocks) == plan
    assert each.help == each.help.strip()
    with pytest.raises(PlanError, match="takes no"):
        each(12, nonsense=1)
    for parameter in each.parameters:
        with pytest.raises(PlanError, match=r"give|scaled"):
            each(12, **{parameter.name: -1})
    if each.window:
        with pytest.raises(PlanError, match="whole number from 0 to 5"):
            each(12, n=6)
        with pytest.raises(PlanError, match="0 ≤ start < stop ≤ 12"):
            each(12, start=8, stop=8)


def test_a_cache_of_another_plan_is_refused(tiny: Callable[..., Any]) -> None:
    model = tiny("llama")
    ids = torch.tensor([PROMPT])
    with torch.no_grad():
        cache = kept(as_model(model, "0-3")(input_ids=ids, use_cache=True))
        for name in NAMES:
            with pytest.raises(LensError, match="another plan"):
                as_model(model, "3-0")(input_ids=ids, **{name: cache})


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_values_are_taken_by_either_name(tiny: Callable[..., Any], name: str) -> None:
    planned, ids = as_model(tiny("llama"), "0 [1-2]x2 3"), torch.tensor([PROMPT])
    with torch.no_grad():
        first = planned(input_ids=ids[:, :3], use_cache=True)
        then = planned(input_ids=ids[:, 3:], **{name: kept(first)}).logits
        whole = planned(input_ids=ids, use_cache=False).logits
    torch.testing.assert_close(then, whole[:, 3:], rtol=1e-4, atol=1e-4 * float(whole.abs().max()))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gpt_neo", "mistral", "gemma2", "falcon"])
@pytest.mark.parametrize("plan", ["0-3", "0 [1-2]x2 3", "0 [1|2] 3"])
def test_guessed_tokens_that_were_wrong_are_taken_back(tiny: Callable[..., Any], kind: str, plan: str) -> None:
    """Hugging Face guesses from the prompt and crops keys and values; greedily that changes no token."""
    planned, ids = as_model(tiny(kind), plan), torch.tensor([[*PROMPT, *PROMPT[:4], *PROMPT[:2]]])
    options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    plain = planned.generate(ids, use_cache=False, **options)
    assert torch.equal(planned.generate(ids, prompt_lookup_num_tokens=3, **options), plain)


def test_a_model_that_keeps_nothing_writes_the_same(byte_level: Any) -> None:
    """The first GPT has no keys and values to keep: it reads the whole text for each token."""
    size = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64, "vocab_size": len(byte_level)}
    torch.manual_seed(0)
    hf = AutoModelForCausalLM.from_config(AutoConfig.for_model("openai-gpt", **size)).eval()
    with torch.no_grad():
        for parameter in hf.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    ids = list(byte_level("The old man")["input_ids"])
    found = generate(load(hf, tokenizer=byte_level), "The old man", max_new_tokens=8)
    for token in found.ids:
        with torch.no_grad():
            assert int(hf(input_ids=torch.tensor([ids])).logits[0, -1].argmax()) == token
        ids.append(token)
    assert len(found.ids) == 8
