"""Every family: an exported checkpoint, read as anyone would read it, is the plan; or it is refused in words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters
from typing import Any

import pytest
import torch
import yaml
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedTokenizerFast

from lens.errors import LensError, PlanError
from lens.execution import as_model, save_checkpoint, to_mergekit
from lens.models import Model, load
from tests.conftest import scaled_by_number

IDS = torch.tensor([[5, 17, 80, 4, 33, 9, 11, 60, 7, 22]])  # more than the windows
BY_PLACE = "does not do what the plan does, as it chooses masks or positions by a block's place. Use lens.as_model"
PLANS = ["1 0 3 2", "0-2 2"]
AGAIN = "runs the same block again and again, so that a checkpoint holds no order. Use lens.as_model"
REFUSED = {
    # whether a block looks at a window only stands in a list of another shape than others'
    **dict.fromkeys([("gpt_neo", plan) for plan in PLANS], BY_PLACE),
    ("modernbert", "1 0 3 2"): BY_PLACE,  # its first block alone has no norm before its attention
    **dict.fromkeys([(case, plan) for case in ("albert", "albert-grouped") for plan in PLANS], AGAIN),
}


@pytest.fixture(scope="module")
def letters() -> Any:
    """A tokenizer of as few tokens as the tiny models know."""
    known = {sign: number for number, sign in enumerate(["<pad>", "<s>", "</s>", "<unk>", "<mask>", *ascii_letters])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    named = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def logits(hf: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = hf(input_ids=IDS).logits
    return found


def read_again(model: Model, folder: Path) -> Any:
    auto = AutoModelForCausalLM if model.kind == "causal" else AutoModelForMaskedLM
    return auto.from_pretrained(folder).eval()


@pytest.mark.parametrize("plan", PLANS)
def test_what_was_saved_is_the_plan(
    case: str, plan: str, build: Callable[..., Any], letters: Any, tmp_path: Path
) -> None:
    model, folder = load(build(case), tokenizer=letters), tmp_path / "made"
    own = logits(model.hf)
    if (case, plan) in REFUSED:
        with pytest.raises(LensError, match=REFUSED[case, plan]):
            save_checkpoint(model, plan, folder)
        assert not list(tmp_path.iterdir())
    else:
        assert save_checkpoint(model, plan, folder) == folder
        expected = logits(as_model(model, plan))
        scale = float(expected.abs().max())
        torch.testing.assert_close(logits(read_again(model, folder)), expected, rtol=1e-4, atol=1e-4 * scale)
    torch.testing.assert_close(logits(model.hf), own, rtol=0, atol=0)
    assert model.config.get_text_config().num_hidden_layers == model.n_blocks


def test_attention_that_is_scaled_by_a_blocks_place_is_refused(letters: Any, tmp_path: Path) -> None:
    """GPT-2 as Mistral trained it: a block is made with its scale, which no weight holds."""
    model = load(scaled_by_number(), tokenizer=letters)
    with pytest.raises(LensError, match=BY_PLACE):
        save_checkpoint(model, "1 0 3 2", tmp_path / "made")
    assert not list(tmp_path.iterdir())
    save_checkpoint(model, "0-2", tmp_path / "made")


def test_a_folder_that_holds_something_stays_as_it_is(tiny: Any, letters: Any, tmp_path: Path) -> None:
    model = load(tiny("gpt2").hf, tokenizer=letters)
    kept, empty = tmp_path / "kept" / "file", tmp_path / "new" / "empty"
    for path in (kept.parent, empty):
        path.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(LensError, match="is not empty: give a new folder"):
        save_checkpoint(model, "0-3", kept.parent)
    assert [path.read_text() for path in kept.parent.iterdir()] == ["mine"]
    save_checkpoint(model, "0-3", empty)
    save_checkpoint(model, "0-3", tmp_path / "deep" / "er" / "still")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"empty"}
    with pytest.raises(LensError, match=r"could not be written \(Not a directory\)\. Give another folder\."):
        save_checkpoint(model, "0-3", kept / "below a file")


def test_what_a_process_left_that_died_comes_into_no_checkpoint(tiny: Any, letters: Any, tmp_path: Path) -> None:
    model, left = load(tiny("gpt2").hf, tokenizer=letters), tmp_path / f".made.{os.getpid()}.tmp"
    left.mkdir()
    (left / "of_another.safetensors").touch()
    with pytest.raises(LensError, match="could not be written"):
        save_checkpoint(model, "0-3", tmp_path / "made")
    save_checkpoint(model, "0-3", tmp_path / "made")
    assert not (tmp_path / "made" / "of_another.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_the_config_comes_last(tiny: Any, letters: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process dies before, there is no model to be read."""
    moved: list[str] = []
    replace = Path.replace

    def noted(path: Path, target: Path) -> Path:
        moved.append(target.name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    save_checkpoint(load(tiny("gpt2").hf, tokenizer=letters), "0-3", tmp_path / "made")
    assert set(moved) == {path.name for path in (tmp_path / "made").iterdir()}
    assert {"model.safetensors", "tokenizer.json"} < set(moved)
    assert moved[-1] == "config.json"


@pytest.mark.parametrize("plan", ["0-1 2~attn 3", "0 mat(1>3) 3", "0 [1|2] 3"])
def test_what_is_no_row_of_blocks_is_refused(plan: str, tiny: Any, letters: Any, tmp_path: Path) -> None:
    model = load(tiny("gpt2").hf, tokenizer=letters)
    with pytest.raises(PlanError, match="cannot be exported: a checkpoint holds true blocks in a row"):
        save_checkpoint(model, plan, tmp_path / "made")
    with pytest.raises(PlanError, match="cannot be exported"):
        to_mergekit(model, plan)


def test_a_mergekit_file_is_what_mergekit_reads(tiny: Any) -> None:
    model = tiny("gpt2")
    written = to_mergekit(model, "0-1 3 3-2 0", dtype="bfloat16")
    ranges = [[0, 2], [3, 4], [3, 4], [2, 3], [0, 1]]
    assert yaml.safe_load(written) == {
        "merge_method": "passthrough",
        "dtype": "bfloat16",
        "slices": [{"sources": [{"model": model.name, "layer_range": each}]} for each in ranges],
    }
    assert written.startswith("# written by lens: 0-1 3 3-2 0\n")
    assert written.endswith("\n")
    assert yaml.safe_load(to_mergekit(model, "0-3"))["dtype"] == "float32"
