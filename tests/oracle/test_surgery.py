"""Surgery against models really rebuilt, Hugging Face's own generate, and formulas in plain torch and numpy."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import lens
from lens.analyses import heldout_sentences
from lens.errors import LensError, MapsError, PlanError, TextError
from lens.execution import save_checkpoint, to_mergekit
from lens.plans import Plan, recipe, recipes

TEXT = "It was a dark night, and nobody in the house could sleep."
TRUSTED = {
    "gpt2": "transformer.h",
    "gpt_neox": "gpt_neox.layers",
    "opt": "model.decoder.layers",
    "llama": "model.layers",
}
ORDERS = {"0 3": [0, 3], "0 2-1 3": [0, 2, 1, 3], "0 1x3 3": [0, 1, 1, 1, 3], "0 (1-2)x2 3": [0, 1, 2, 1, 2, 3]}


@pytest.fixture(scope="module")
def demo() -> Any:
    return lens.load("demo")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return heldout_sentences()[:6]


def rebuilt(hf: Any, path: str, order: list[int]) -> Any:
    """A copy whose ModuleList is really reordered, for families that carry that out faithfully without a cache."""
    other = copy.deepcopy(hf)
    parent, _, name = path.rpartition(".")
    blocks = other.get_submodule(path)
    setattr(other.get_submodule(parent), name, nn.ModuleList([copy.deepcopy(blocks[block]) for block in order]))
    other.config.num_hidden_layers = len(order)
    return other


@pytest.mark.parametrize("case", TRUSTED)
@pytest.mark.parametrize("plan", ORDERS)
def test_orders_equal_models_really_rebuilt(tiny: Callable[..., Any], case: str, plan: str) -> None:
    model, ids = tiny(case), torch.tensor([[5, 17, 80, 4, 33, 9]])
    with torch.no_grad():
        expected = rebuilt(model.hf, TRUSTED[case], ORDERS[plan])(input_ids=ids, use_cache=False).logits
        found = lens.as_model(model, plan)(input_ids=ids, use_cache=False).logits
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_plan_has_the_loss_of_the_rebuilt_model(demo: Any) -> None:
    ids = torch.tensor([demo.encode(TEXT).ids])
    order = [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11]
    with torch.no_grad():
        expected = rebuilt(demo.hf, "transformer.h", order)(input_ids=ids, labels=ids).loss
        found = lens.as_model(demo, "0-3 7-4 8-11")(input_ids=ids, labels=ids).loss
        parallel = lens.as_model(demo, "0-3 [4-7]x2 8-11")(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert float(parallel) == pytest.approx(
        np.nanmean(lens.compare_plan(demo, TEXT, "0-3 [4-7]x2 8-11").loss), rel=1e-5
    )


def own_block(hf: Any, number: int, stream: torch.Tensor) -> torch.Tensor:
    out = hf.transformer.h[number](stream)
    return out if torch.is_tensor(out) else out[0]


@pytest.mark.parametrize(
    ("plan", "formula"),
    [
        ("[4-7]*2.5", lambda f, h: h + 2.5 / 4 * sum(f(b, h) - h for b in (4, 5, 6, 7))),
        ("[4-7]+", lambda f, h: h + sum(f(b, h) - h for b in (4, 5, 6, 7))),
        ("[4-7]", lambda f, h: sum(f(b, h) for b in (4, 5, 6, 7)) / 4),
        ("[6]*0.5", lambda f, h: h + 0.5 * (f(6, h) - h)),
    ],
)
@pytest.mark.parametrize("loops", [1, 3])
@pytest.mark.parametrize("batched", [False, True, "auto"])
def test_scaled_and_looped_stages_equal_their_formula(
    demo: Any, plan: str, formula: Any, loops: int, batched: Any
) -> None:
    hf, ids = demo.hf, torch.tensor([demo.encode(TEXT).ids])
    with torch.no_grad():
        stream = hf.transformer.wte(ids) + hf.transformer.wpe(torch.arange(ids.shape[1]))
        for _ in range(loops):
            stream = formula(lambda number, h: own_block(hf, number, h), stream)
        expected = hf.lm_head(hf.transformer.ln_f(stream))[0]
    found = lens.run(demo, TEXT, f"{plan}x{loops}", batched=batched).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_window_of_one_block_is_the_full_model(demo: Any) -> None:
    full = lens.run(demo, TEXT, "0-11").logits
    for name in ("middle repeat", "reverse", "random", "parallel", "pairs"):
        assert torch.equal(lens.run(demo, TEXT, recipe(name, 12, n=5)).logits, full), name
    assert torch.equal(lens.run(demo, TEXT, recipe("looped parallel", 12, n=5, k=1)).logits, full)
    assert torch.equal(lens.run(demo, TEXT, recipe("repeat", 12, start=3, stop=9, times=1)).logits, full)


@pytest.mark.parametrize(
    ("name", "given", "plan"),
    [
        ("skip", {"n": 3}, "0-3 9-11"),
        ("middle repeat", {"n": 3}, "0-3 6x5 9-11"),
        ("reverse", {"n": 3}, "0-3 8-4 9-11"),
        ("reverse", {"start": 2, "stop": 5}, "0-1 4-2 5-11"),
        ("parallel", {"n": 0}, "0 [1-11]"),
        ("parallel", {"n": 4, "combine": "sum"}, "0-4 [5-7]+ 8-11"),
        ("looped parallel", {"n": 4, "k": 2, "scale": 1.5}, "0-4 [5-7]*1.5x2 8-11"),
        ("skip one", {"block": 0}, "1-11"),
        ("switch", {"block": 4}, "0-3 5-4 6-11"),
        ("repeat", {"start": 4, "stop": 8, "times": 3}, "0-3 (4-7)x3 8-11"),
        ("pairs", {"start": 4, "stop": 9}, "0-3 [4-5]+ [6-7]+ 8 9-11"),
        ("jump", {"start": 4, "stop": 8, "cast": "id"}, "0-3 id(4>8) 8-11"),
        ("linear", {"start": 4, "stop": 8, "part": "ffn"}, "0-3 4-7~ffn 8-11"),
        ("alternation", {"true": 6}, "mat(0>1) 1 mat(2>3) 3 mat(4>5) 5 mat(6>7) 7 mat(8>9) 9 mat(10>11) 11"),
    ],
)
def test_recipes_give_the_plans_of_the_paper(name: str, given: dict[str, Any], plan: str) -> None:
    assert str(recipe(name, 12, **given)) == plan


def test_random_orders_are_orders_of_the_window() -> None:
    seen = set()
    for seed in range(20):
        plan = recipe("random", 12, n=2, seed=seed)
        order = [stage.first for stage in plan.flat]
        assert order[:3] + order[-2:] == [0, 1, 2, 10, 11]
        assert sorted(order) == list(range(12))
        pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
        assert plan.inversions == sum(b < a for a, b in pairs)
        seen.add(tuple(order))
    assert len(seen) > 15


def test_paper_windows_have_the_stated_size() -> None:
    for blocks in range(2, 41):
        for n in range((blocks - 2) // 2 + 1):
            left_out = blocks - recipe("skip", blocks, n=n).applications
            assert left_out == blocks - 2 * n - 1
            centre = int(str(recipe("middle repeat", blocks, n=n)).split()[1].split("x")[0].split("-")[-1])
            if left_out > 1:
                assert centre == blocks // 2


def test_generation_is_that_of_hugging_face(demo: Any) -> None:
    ids = torch.tensor([demo.encode(TEXT).ids])
    expected = demo.hf.generate(ids, max_new_tokens=40, do_sample=False)[0, ids.shape[1] :]
    steps: list[str] = []
    found = lens.generate(demo, TEXT, max_new_tokens=40, stream=lambda step: steps.append(step.text))
    assert list(found.ids) == expected.tolist()
    assert found.text == demo.tokenizer.decode(expected)
    assert (len(steps), steps[-1], found.ended) == (40, found.text, "length")


@pytest.mark.parametrize("plan", ["0-3 4-7~attn 8-11", "0-3 4-7~ffn 8-11", "0-3 [4~ln|mat(4>6)] 6-11", "mat(0>11) 11"])
def test_linear_parts_and_maps_write_the_same_with_and_without_a_cache(demo: Any, plan: str) -> None:
    planned, ids = lens.as_model(demo, plan), torch.tensor([demo.encode(TEXT).ids])
    options = {"max_new_tokens": 16, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    cached, plain = (planned.generate(ids, use_cache=use, **options) for use in (True, False))
    assert torch.equal(cached, plain)


def test_sampling_follows_the_temperature_and_the_seed(demo: Any) -> None:
    found = lens.generate(demo, TEXT, "0-3 7-4 8-11", max_new_tokens=8, temperature=0.7, seed=3)
    assert found == lens.generate(demo, TEXT, "0-3 7-4 8-11", max_new_tokens=8, temperature=0.7, seed=3)
    assert found != lens.generate(demo, TEXT, "0-3 7-4 8-11", max_new_tokens=8, temperature=0.7, seed=4)
    other = rebuilt(demo.hf, "transformer.h", [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11])
    chance, ids = torch.Generator().manual_seed(3), list(demo.encode(TEXT).ids)
    for token, likely in zip(found.ids, found.probabilities, strict=True):
        with torch.no_grad():
            logits = other(torch.tensor([ids]), use_cache=False).logits[0, -1].double()
        assert int(torch.multinomial(torch.softmax(logits / 0.7, -1), 1, generator=chance)) == token
        assert likely == pytest.approx(float(torch.softmax(logits, -1)[token]), rel=1e-3)
        ids.append(token)


def test_masked_models_fill_their_masks() -> None:
    bert = lens.load("demo-bert")
    text = "The old [MASK] sat by the [MASK] and slept."
    tokens = bert.encode(text)
    for order in (list(range(10)), [0, 1, 2, 6, 5, 4, 3, 7, 8, 9]):
        other, ids = rebuilt(bert.hf, "bert.encoder.layer", order), list(tokens.ids)
        for place in tokens.masks:
            with torch.no_grad():
                ids[place] = int(other(input_ids=torch.tensor([ids])).logits[0, place].argmax())
        plan = " ".join(map(str, order))
        found = lens.generate(bert, text, plan)
        assert found.ids == tuple(ids[place] for place in tokens.masks)
        assert found.text == bert.tokenizer.decode(ids[1:-1])
        assert found.ended == "filled"
    with pytest.raises(TextError, match="fills in masks"):
        lens.generate(bert, "No mask here.")


def test_every_recipe_runs_on_an_encoder_at_the_mask() -> None:
    bert = lens.load("demo-bert")
    text = "The old man sat by the [MASK]."
    mask = bert.encode(text).masks[0]
    full = lens.compare_plan(bert, text, "0-9")
    for each in recipes().values():
        plan = each(10)
        found = lens.compare_plan(bert, text, plan)
        assert np.isfinite(found.kl[mask])
        assert found.probabilities[mask].sum() <= 1 + 1e-6
        assert plan == Plan.full(10) or found.kl[mask] > 0
    np.testing.assert_array_equal(full.kl < 1e-6, True)


@pytest.mark.parametrize("bad", [{"max_new_tokens": 0}, {"max_new_tokens": 5000}, {"temperature": -1.0}])
def test_generation_refuses_what_it_cannot_do(demo: Any, bad: dict[str, Any]) -> None:
    with pytest.raises(LensError, match="give"):
        lens.generate(demo, TEXT, **bad)
    with pytest.raises(PlanError, match="block 40 does not exist"):
        lens.generate(demo, TEXT, "0-40")
    with pytest.raises(TextError, match="shorten it"):
        lens.generate(demo, "word " * 2000)


# ---------------------------------------------------------------- sweeps

PLANS = {"full": [*range(12)], "skip": [0, 1, 2, 3, 8, 9, 10, 11], "reverse": [0, 1, 2, 3, 7, 6, 5, 4, 8, 9, 10, 11]}


def plainly(hf: Any, model: Any, texts: list[str], order: list[int]) -> list[np.ndarray]:
    """For each text (tokens, 3): loss of the next token, KL, agreement; one text and one real model at a time."""
    other, found = rebuilt(hf, "transformer.h", order), []
    for text in texts:
        ids = torch.tensor([model.encode(text).ids])
        with torch.no_grad():
            own, log = (each(ids, use_cache=False).logits[0].double().log_softmax(-1) for each in (hf, other))
        loss = torch.full((ids.shape[1],), torch.nan, dtype=torch.float64)
        loss[:-1] = -log[:-1].gather(-1, ids[0, 1:, None])[:, 0]
        kl = (own.exp() * (own - log)).sum(-1)
        found.append(torch.stack([loss, kl, (own.argmax(-1) == log.argmax(-1)).double()], -1).numpy())
    return found


def test_a_sweep_equals_a_plain_loop_over_rebuilt_models(demo: Any, texts: list[str]) -> None:
    plans = {name: " ".join(map(str, order)) for name, order in PLANS.items()}
    found = lens.sweep(demo, texts, plans)
    for row, order in enumerate(PLANS.values()):
        each, full = (plainly(demo.hf, demo, texts, which) for which in (order, PLANS["full"]))
        for metric, column in (("loss", 0), ("kl", 1), ("agreement", 2)):
            sums = np.array([np.nansum(part[:, column]) for part in each])
            counts = np.array([np.isfinite(part[:, column]).sum() for part in each])
            mean = sums.sum() / counts.sum()
            spread = ((sums - mean * counts) ** 2).sum() * len(texts) / (len(texts) - 1)
            estimate = getattr(found, metric)
            assert estimate.value[row, 0] == pytest.approx(mean, abs=2e-6)
            assert estimate.error[row, 0] == pytest.approx(np.sqrt(spread) / counts.sum(), abs=2e-6)
        change = sum(np.nansum(a[:, 0] - b[:, 0]) for a, b in zip(each, full, strict=True))
        assert found.change.value[row, 0] == pytest.approx(change / sum(len(a) - 1 for a in each), abs=2e-6)
    assert found.kl.value[0, 0] == pytest.approx(0, abs=1e-6)
    assert (found.applications.tolist(), found.depth.tolist()) == ([12, 8, 12], [12, 8, 12])


def test_a_row_of_several_plans_is_their_mean(demo: Any, texts: list[str]) -> None:
    each = [recipe("random", 12, n=3, seed=seed) for seed in range(4)]
    found = lens.sweep(demo, texts, {"random": each, **{str(n): plan for n, plan in enumerate(each)}})
    for metric in ("loss", "change", "kl", "agreement"):
        values = getattr(found, metric).value[:, 0]
        assert values[0] == pytest.approx(values[1:].mean(), abs=1e-9)
    assert found.spread[0] == pytest.approx(found.change.value[1:, 0].std(ddof=1), abs=1e-9)
    assert np.isnan(found.spread[1:]).all()


def test_memory_and_positions_change_no_number(demo: Any, texts: list[str]) -> None:
    plans = [recipe(name, 12, n=n) for name in ("reverse", "looped parallel") for n in (1, 3)]
    wide, narrow = (lens.sweep(demo, texts, plans, memory=size) for size in (2**28, 2**16))
    np.testing.assert_allclose(wide.loss.value, narrow.loss.value, atol=1e-5)
    by = lens.sweep(demo, texts, plans, by="position")
    assert by.tokens.sum() == wide.tokens.sum()
    weights = by.tokens / by.tokens.sum()
    np.testing.assert_allclose(np.nansum(by.kl.value * weights, 1), wide.kl.value[:, 0], atol=1e-6)
    first = sum(len(demo.encode(text)) >= 1 for text in texts)
    assert (by.bins[0], by.tokens[0]) == ("0", first)
    own_prefix = 2 * sum(n + 1 for n in (1, 3))  # true blocks before each window, recorded
    first_of_both = 2  # block 10 (and 8) begins the reverse and is in the parallel stage
    assert wide.shared == pytest.approx(1 - (own_prefix + first_of_both) / wide.applications.sum())


def test_equal_plans_run_once_and_beginnings_are_shared() -> None:
    from lens.execution import trie

    flat = [Plan.parse(text) for text in ("0-3 7-4 8-11", "0 1 2 3 7 6 5 4 8 9 10 11", "0-3 7-5", "0-11")]
    root = trie(flat)
    assert root.applications == 8  # 7 6 5 4 8 9 10 11; 0–3, and all of the full model, are recorded
    assert root.live == 2 + 2 + 1  # one fork, behind block 3: its two children, and the output of a block on it
    both = trie([Plan.parse("0-3 [4-7] 8-11"), Plan.parse("0-3 6 11")])
    assert both.applications == 4 + 4 + 1  # block 6 runs once, side by side and alone
    linear = trie([Plan.parse("0-3 6~attn 11"), Plan.parse("0-3 6 11"), Plan.parse("0-3 mat(4>11) 11")])
    assert linear.applications == 2 + 2 + 1  # 6 with linear attention is another block; a jump runs none
    assert sorted(number for node in (root.then[Plan.parse("0").stages[0]],) for number in _ends(node)) == [0, 1, 2, 3]


def _ends(node: Any) -> list[int]:
    return [*node.plans, *(number for child in node.then.values() for number in _ends(child))]


def test_a_linear_part_is_not_taken_for_the_true_block_beside_it(demo: Any, texts: list[str]) -> None:
    # all begin with block 4 on one stream: true in two of them, which share it, and with linear attention in the others
    plans = ["0-3 [4-7] 8-11", "0-3 4 8-11", "0-3 4~attn 8-11", "0-3 [4|6]+ 8-11", "0-3 [4~attn|5] 8-11"]
    for order in (plans, plans[::-1]):
        together = lens.sweep(demo, texts, order).loss.value[:, 0]
        apart = [lens.sweep(demo, texts, [plan]).loss.value[0, 0] for plan in order]
        assert (together > 0).all()
        np.testing.assert_allclose(together, apart, atol=1e-6)


def test_a_sweep_refuses_in_words(demo: Any, texts: list[str]) -> None:
    with pytest.raises(PlanError, match="block 12 does not exist"):
        lens.sweep(demo, texts, ["0-12"])
    with pytest.raises(LensError, match="there is none"):
        lens.sweep(demo, texts, [])
    with pytest.raises(LensError, match="has no plan"):
        lens.sweep(demo, texts, {"none": []})
    bare = lens.load(copy.deepcopy(demo.hf).apply(_shaken), tokenizer=demo.tokenizer)
    with pytest.raises(MapsError, match="No maps"):
        lens.sweep(bare, texts, ["0-3 mat(4>12)"])
    with pytest.raises(TextError):
        lens.sweep(demo, [], ["0-11"])
    with pytest.raises(LensError, match="position"):
        lens.sweep(demo, texts, ["0-11"], by="token")


def _shaken(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        parameter.data.add_(0.01)


def test_grids_hold_the_plans_that_they_say(demo: Any, texts: list[str]) -> None:
    strategies = lens.painters(demo, texts[:2], seeds=2)
    assert strategies.columns == (1, 3, 5, 7, 9, 11)
    assert strategies.plan(strategies.rows.index("reverse"), 2) == "0-3 8-4 9-11"
    one = strategies.of("change").value[:, 0]
    assert one[strategies.rows.index("reverse")] == pytest.approx(0, abs=1e-6)
    windows = lens.windows(demo, texts[:2], recipe="repeat")
    assert windows.plan(4, windows.columns.index(8)) == "0-3 (4-7)x2 8-11"
    assert np.isnan(windows.of("kl").value[4, windows.columns.index(3)])
    loops = lens.loops(demo, texts[:2], join="scaled", most=3)
    assert loops.plan(1, 1) == "0-4 [5-7]*1.5x2 8-11"
    assert len(loops.frame()) == 18
    values = loops.of("change").value
    assert loops.best() == tuple(int(np.argmin(row)) + 1 for row in values)


# ---------------------------------------------------------------- what layers do


def test_massive_activations_are_the_same_while_somebody_watches(demo: Any) -> None:
    texts = ["", *heldout_sentences()[:40]]  # more than one batch where it is watched
    alone, watched = lens.layers(demo, texts), lens.layers(demo, texts, progress=lambda _: None)
    for one, other in zip(alone.massive, watched.massive, strict=True):
        assert one.median == pytest.approx(other.median, rel=2e-3)
        assert demo.encode(texts[one.text]).labels[one.position] == one.token  # the number is that of the text given


def test_layer_statistics_equal_plain_numpy(demo: Any, texts: list[str]) -> None:
    found = lens.layers(demo, texts)
    streams = [
        torch.stack(lens.run(demo, text, "0 1 2 3 4 5 6 7 8 9 10 11").streams).double().numpy() for text in texts
    ]
    every = np.concatenate(streams, 1)  # (13, N, width)

    def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)

    centred = every - every.mean(1, keepdims=True)
    inner = np.concatenate([stream[:, 1:] for stream in streams], 1)
    for i, j in ((0, 12), (3, 7), (11, 12), (5, 5)):
        expected = [
            np.mean([cosine(s[i].ravel(), s[j].ravel()) for s in streams]),
            cosine(every[i], every[j]).mean(),
            cosine(inner[i], inner[j]).mean(),
            cosine(centred[i], centred[j]).mean(),
        ]
        np.testing.assert_allclose(found.cosines.value[:, i, j], expected, atol=1e-6)
        last = np.mean([np.arccos(np.clip(cosine(s[i, -1], s[j, -1]), -1, 1)) / np.pi for s in streams])
        assert found.angular.value[i, j] == pytest.approx(last, abs=1e-5)
    update = every[1:] - every[:-1]
    ratio = np.linalg.norm(update, axis=-1) / np.linalg.norm(every[:-1], axis=-1)
    np.testing.assert_allclose(found.update_ratio.value, ratio.mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.update_cosine.value, cosine(update, every[:-1]).mean(1), atol=1e-5)
    np.testing.assert_allclose(found.influence.value, 1 - cosine(every[:-1], every[1:]).mean(1), atol=1e-6)
    np.testing.assert_allclose(found.norm.value, np.linalg.norm(every, axis=-1).mean(1), rtol=1e-6)
    for massive in found.massive:
        layer = np.abs(every[massive.layer])
        assert abs(massive.value) == pytest.approx(layer.max(), rel=1e-5)
        assert abs(streams[massive.text][massive.layer, massive.position, massive.coordinate]) == pytest.approx(
            layer.max()
        )
        assert massive.token == demo.encode(texts[massive.text]).labels[massive.position]
        assert massive.median == pytest.approx(np.median(layer), rel=2e-3)
    turned = [found.angular.value[at, at + 3] for at in range(10)]
    assert found.best_drop(3) == int(np.argmin(turned))


def test_skipping_is_measured_on_models_without_the_block(demo: Any, texts: list[str]) -> None:
    from scipy.stats import spearmanr

    found = lens.layers(demo, texts)
    skipped = lens.sweep(demo, texts, [recipe("skip one", 12, block=block) for block in range(12)])
    np.testing.assert_allclose(found.skip_change.value, skipped.change.value[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.skip_agreement.value, skipped.agreement.value[:, 0], atol=1e-9)
    assert found.rank_correlation == pytest.approx(spearmanr(found.influence.value, found.skip_change.value)[0])
    changes = []
    for text in texts:
        full = lens.run(demo, text, " ".join(map(str, range(12)))).streams
        cut = lens.run(demo, text, "0 1 2 4 5 6 7").streams  # block 3 left out; block 6 is the sixth stage
        own, other = full[7] - full[6], cut[6] - cut[5]
        changes.append((other - own).norm(dim=-1) / own.norm(dim=-1))
    assert found.skip_effect.value[3, 6] == pytest.approx(float(torch.cat(changes).mean()), rel=1e-4)
    assert np.isnan(found.skip_effect.value[6, 3])


def test_comparing_one_text(demo: Any) -> None:
    found = lens.compare_plan(demo, TEXT, "0-3 [4-7]x2 8-11")
    run, full = lens.run(demo, TEXT, "0-3 [4-7] [4-7] 8-11"), lens.run(demo, TEXT, "0 1 2 3 4 5 6 7 8 9 10 11")
    ids = torch.tensor(demo.encode(TEXT).ids)
    own, log = full.logits.double().log_softmax(-1), run.logits.double().log_softmax(-1)
    np.testing.assert_allclose(found.loss[:-1], -log[:-1].gather(-1, ids[1:, None])[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.full_loss[:-1], -own[:-1].gather(-1, ids[1:, None])[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.kl, (own.exp() * (own - log)).sum(-1), atol=1e-5)
    assert np.isnan(found.loss[-1])
    assert found.stages[4:6] == ("[4|5|6|7]", "[4|5|6|7]")
    assert found.boundaries[3:7] == (4, 8, 8, 9)
    cosine = torch.cosine_similarity(run.streams[2].double(), full.streams[8].double(), -1).mean()
    assert found.cosine[4] == pytest.approx(float(cosine), abs=1e-9)
    ratio = (run.streams[-1].norm(dim=-1) / full.streams[-1].norm(dim=-1)).mean()
    assert found.norm_ratio[-1] == pytest.approx(float(ratio), rel=1e-5)


def test_latency_is_measured_in_turn_and_batched(demo: Any) -> None:
    found = lens.latency(demo, TEXT, "0-3 [4-7]x2 8-11", rounds=3)
    assert (found.applications, found.depth, found.rounds) == (16, 10, 3)
    assert found.batched is not None
    assert found.difference is not None
    assert found.difference < 1e-5
    assert lens.latency(demo, TEXT, "0-3 8-11", rounds=2).batched is None


# ---------------------------------------------------------------- export


def test_a_mergekit_file_names_the_same_blocks(demo: Any) -> None:
    read = yaml.safe_load(to_mergekit(demo, "0-3 7-4 5x2 8-11"))
    assert read["merge_method"] == "passthrough"
    ranges = [source["layer_range"] for part in read["slices"] for source in part["sources"]]
    assert [block for low, high in ranges for block in range(low, high)] == [0, 1, 2, 3, 7, 6, 5, 4, 5, 5, 8, 9, 10, 11]
    with pytest.raises(PlanError, match="cannot be exported"):
        to_mergekit(demo, "0-3 [4-7] 8-11")


def test_a_checkpoint_is_the_plan(demo: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    plan = "0-3 7-4 5x2 8-11"
    folder = save_checkpoint(demo, plan, tmp_path / "made")
    saved = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.tensor([demo.encode(TEXT).ids])
    with torch.no_grad():
        torch.testing.assert_close(saved(ids).logits[0], lens.run(demo, TEXT, plan).logits, rtol=1e-5, atol=1e-4)
    options = {"max_new_tokens": 8, "do_sample": False}
    assert torch.equal(saved.generate(ids, **options), lens.as_model(demo, plan).generate(ids, **options))
    with pytest.raises(LensError, match="not empty"):
        save_checkpoint(demo, plan, folder)
