"""Maps as files: whole or not at all, lazily opened, refused where they do not belong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lens.casts import Card, Maps, casts
from lens.errors import LensError, MapsError

CARD = Card(
    model="tiny",
    revision=None,
    fingerprint="f" * 64,
    n_blocks=3,
    width=4,
    corpus="a test",
    corpus_sha256="0" * 64,
    positions="all",
    sentences=2,
    tokens=20,
    heldout_sentences=1,
    heldout_tokens=9,
    seed=0,
    version="0",
    r2={"mat": {"0>3": 0.5}},
)
MODEL: dict[str, Any] = {"name": "tiny", "fingerprint": "f" * 64, "n_blocks": 3, "width": 4}


@pytest.fixture
def maps() -> Maps:
    return Maps(CARD, {f"mat.{source}.3.matrix": torch.full((4, 4), float(source + 1)) for source in range(3)})


def test_saved_and_opened(maps: Maps, tmp_path: Path) -> None:
    opened = Maps.load(maps.save(tmp_path / "new" / "maps"))
    assert opened.card == CARD
    assert opened.pairs == {"mat": {(0, 3), (1, 3), (2, 3)}}
    torch.testing.assert_close(opened.tensors("mat", 1, 3)["matrix"], torch.full((4, 4), 2.0))
    assert sorted(path.name for path in (tmp_path / "new" / "maps").iterdir()) == ["card.json", "maps.safetensors"]


def test_stored_smaller_and_given_back_in_float32(maps: Maps, tmp_path: Path) -> None:
    opened = Maps.load(maps.save(tmp_path, torch.float16))
    assert opened.tensors("mat", 0, 3)["matrix"].dtype == torch.float32


def test_a_map_is_read_only_when_used(maps: Maps, tmp_path: Path) -> None:
    """A pair whose tensor does not fit its card is met when it is asked for, and only then."""
    maps.save(tmp_path)
    tensors = {"mat.0.3.matrix": torch.ones(4, 4), "mat.1.3.matrix": torch.ones(5, 5)}
    save_file(tensors, tmp_path / "maps.safetensors", {"fingerprint": CARD.fingerprint})
    opened = Maps.load(tmp_path)
    assert opened.tensors("mat", 0, 3)["matrix"].shape == (4, 4)
    with pytest.raises(MapsError, match=r"shape \(5, 5\) of float32, and its card says width 4"):
        opened.tensors("mat", 1, 3)


def test_an_absent_pair_says_what_there_is(maps: Maps) -> None:
    with pytest.raises(MapsError, match=r"hold no mat from layer 0 to layer 2\. They go to layer 3\."):
        maps.tensors("mat", 0, 2)
    assert maps.covers("mat", (0, 1, 2, 3), 3)
    assert not maps.covers("mat", (0, 1), 2)


def test_maps_of_another_model_are_refused(maps: Maps) -> None:
    maps.check(**MODEL)
    with pytest.raises(MapsError, match="fitted on other weights"):
        maps.check(**MODEL | {"fingerprint": "e" * 64})
    with pytest.raises(MapsError, match=r"are for tiny \(3 blocks of width 4\), and big has 3 blocks of width 8"):
        maps.check(**MODEL | {"name": "big", "width": 8})


def damage(folder: Path, how: str) -> None:
    card, tensors = folder / "card.json", folder / "maps.safetensors"
    match how:
        case "no card":
            card.unlink()
        case "no tensors":
            tensors.unlink()
        case "truncated":
            tensors.write_bytes(tensors.read_bytes()[:-9])
        case "empty":
            tensors.write_bytes(b"")
        case "no json":
            card.write_text("{")
        case "deep json":
            card.write_text("[" * 100_000)
        case "no width":
            card.write_text(json.dumps({**json.loads(card.read_text()), "width": "wide"}))
        case "no utf-8":
            card.write_bytes(b"\xff\xfe")
        case "strange tensor":
            save_file({"../../etc": torch.ones(4, 4)}, tensors)
        case "strange part":
            save_file({"mat.0.3.bias": torch.ones(4)}, tensors)
        case "another's tensors":
            save_file({"mat.0.3.matrix": torch.ones(4, 4)}, tensors, {"fingerprint": "e" * 64})


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no card", "card.json is missing"),
        ("no tensors", "maps.safetensors is missing"),
        ("truncated", "can't be read"),
        ("empty", "can't be read"),
        ("no json", "not a card of fitted maps"),
        ("deep json", "not a card of fitted maps"),
        ("no width", "lacks a valid width"),
        ("no utf-8", "can't be read"),
        ("strange tensor", "which is no map of a model of 3 blocks"),
        ("strange part", "which is no map of a model of 3 blocks"),
        ("another's tensors", "do not belong together"),
    ],
)
def test_damage_is_named(maps: Maps, tmp_path: Path, how: str, message: str) -> None:
    maps.save(tmp_path)
    damage(tmp_path, how)
    with pytest.raises(MapsError, match=message):
        Maps.load(tmp_path)


def test_a_failed_save_leaves_the_old_maps(maps: Maps, tmp_path: Path) -> None:
    maps.save(tmp_path)
    (tmp_path / "card.json").unlink()
    (tmp_path / "card.json").mkdir()  # cannot be replaced by a file
    with pytest.raises(MapsError, match=r"card\.json could not be saved .*What was there is untouched"):
        Maps(replace(CARD, seed=7), {"mat.0.3.matrix": torch.zeros(4, 4)}).save(tmp_path)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("tensor", [torch.tensor(1.0), torch.ones(4, 4, dtype=torch.int8), torch.ones(2, 4, 4)])
def test_a_misshapen_map_is_named(tensor: torch.Tensor) -> None:
    with pytest.raises(MapsError, match=r"Map mat\.0\.3\.matrix has shape"):
        Maps(CARD, {"mat.0.3.matrix": tensor}).tensors("mat", 0, 3)


def test_a_folder_that_cannot_be_is_said(maps: Maps, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MapsError, match="could not be saved"):
        maps.save(tmp_path / "file" / "maps")


def test_others_may_read_what_is_saved(maps: Maps, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    maps.save(tmp_path)
    assert (tmp_path / "maps.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_every_cast_keeps_its_contract() -> None:
    stream = torch.randn(2, 5, 4)
    assert {"id", "mat"} <= set(casts())
    for name, cast in casts().items():
        assert cast.name == name
        assert cast.title
        assert cast.fitted == (cast.solve is not None) == bool(cast.tensors)
    torch.testing.assert_close(casts()["id"].apply(stream), stream)
    torch.testing.assert_close(casts()["mat"].apply(stream, matrix=2 * torch.eye(4)), 2 * stream)


def test_an_unknown_cast_is_named() -> None:
    from lens.casts import cast_named

    with pytest.raises(LensError, match=r"no cast called 'magic'\. Casts are id, mat"):
        cast_named("magic")
