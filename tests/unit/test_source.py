"""What a name may be, and what is said of one that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lens import _source
from lens.errors import ModelError
from lens.models import load, resolve


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "embedded"
    for name in ("demo", "demo-bert"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
    (folder / "notes").mkdir()
    monkeypatch.setattr(_source, "FOLDER", folder)
    return folder


def test_shipped_models_are_the_folders_with_a_config(shipped: Path) -> None:
    assert _source.embedded() == ("demo", "demo-bert")


def test_a_shipped_name_comes_first(shipped: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("demo") == _source.Source("demo", None, shipped / "demo", shipped=True)


def test_a_folder_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "mine").mkdir(parents=True)
    (tmp_path / "owner" / "mine" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    found = resolve("owner/mine")
    assert (found.name, found.folder) == ("owner/mine", (tmp_path / "owner" / "mine").resolve())
    assert resolve(tmp_path / "owner" / "mine").folder == found.folder


@pytest.mark.parametrize("name", ["gpt2", "EleutherAI/pythia-70m", "google-bert/bert-base-uncased", "a/b.c_d"])
def test_other_names_are_the_hubs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve(name, "main") == _source.Source(name, "main")


@pytest.mark.parametrize(
    "name", ["./nowhere", "a/b/c", "two words", "~/nowhere", "..", "trailing-", "a" * 400, "nul\0", "~nobody-at-all/x"]
)
def test_a_name_that_can_be_none_is_refused_at_once(name: str, shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refusal:
        load(tmp_path / name if name == ".." else name)
    assert "demo, demo-bert" in str(refusal.value)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_refused(name: str, shipped: Path) -> None:
    with pytest.raises(ModelError, match=r"A model has a name\. Models that are always here: demo, demo-bert\."):
        load(name)


def test_a_near_miss_is_named(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "storybook").mkdir()
    with pytest.raises(ModelError, match=r"Did you mean '.*storybook'"):
        load(tmp_path / "storybok")
    assert _source.suggestion("demo-brt") == " Did you mean 'demo-bert' or 'demo'?"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no model: there is no config\.json in it"):
        load(tmp_path)


def test_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(ModelError, match="is a file; give the folder"):
        load(file)


def test_a_folder_has_no_revision(shipped: Path) -> None:
    with pytest.raises(ModelError, match="which has no revisions"):
        load("demo", revision="main")


@pytest.mark.parametrize("name", [None, 3, ["demo"]])
def test_other_things_are_refused(name: object) -> None:
    with pytest.raises(ModelError, match="A name, a folder or a PreTrainedModel is needed"):
        load(name)  # type: ignore[arg-type]
