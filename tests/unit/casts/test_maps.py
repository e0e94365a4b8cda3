"""Maps as files: whole or not at all, lazily opened, refused where they do not belong."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from lens.casts import Card, Maps, casts, store_folder
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
    heldout_corpus="another test",
    scores={"mat": {"0>3": {"stream": [0.5, 0.01]}}},
)
TITLE = "{http://www.w3.org/2000/svg}title"
MODEL: dict[str, Any] = {"name": "tiny", "fingerprint": "f" * 64, "n_blocks": 3, "width": 4}


@pytest.fixture
def maps() -> Maps:
    return Maps(CARD, {f"mat.{source}.3.matrix": torch.full((4, 4), float(source + 1)) for source in range(3)})


def test_saved_and_opened(maps: Maps, tmp_path: Path) -> None:
    opened = Maps.load(maps.save(tmp_path / "new" / "maps"))
    assert opened.card == CARD
    assert opened.pairs == {"mat": {(0, 3), (1, 3), (2, 3)}}
    torch.testing.assert_close(opened.tensors("mat", 1, 3)["matrix"], torch.full((4, 4), 2.0))
    assert sorted(path.name for path in (tmp_path / "new" / "maps").iterdir()) == [
        "README.md",
        "card.json",
        "maps.safetensors",
        "r2.svg",
    ]


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


def test_what_a_device_was_given_stays_there_and_does_not_travel(maps: Maps, tmp_path: Path) -> None:
    """A GPU keeps the maps used last; the meta device, of which every machine has one, stands for it."""
    meta, opened = torch.device("meta"), Maps.load(maps.save(tmp_path))
    pair = min(opened.pairs["mat"])
    first = opened.tensors("mat", *pair, meta)["matrix"]
    assert first.device == meta
    assert opened.tensors("mat", *pair, meta)["matrix"] is first
    assert opened.tensors("mat", *pair)["matrix"].device.type == "cpu"
    sent = pickle.loads(pickle.dumps(opened))  # noqa: S301 - our own
    assert sent.tensors("mat", *pair, meta)["matrix"] is not first
    torch.testing.assert_close(sent.tensors("mat", *pair), maps.tensors("mat", *pair), rtol=0, atol=0)


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
            save_file({"../../etc": torch.ones(4, 4)}, tensors, {"fingerprint": CARD.fingerprint})
        case "strange part":
            save_file({"mat.0.3.bias": torch.ones(4)}, tensors, {"fingerprint": CARD.fingerprint})
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
    """The disk is full from the third file on: a real limit on the size of files, in a process of its own."""
    maps.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    other = Maps(replace(CARD, seed=7, corpus="x" * 100_000), {"mat.0.3.matrix": torch.zeros(4, 4)})
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            other.save(tmp_path)
        except MapsError as error:
            os._exit(7 if "could not be saved (File too large). What was there is untouched" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert Maps.load(other.save(tmp_path)).card.seed == 7


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
        assert cast.fitted == bool(cast.tensors)
        assert cast.fitted or cast.solve is None
    torch.testing.assert_close(casts()["id"].apply(stream), stream)
    torch.testing.assert_close(casts()["mat"].apply(stream, matrix=2 * torch.eye(4)), 2 * stream)


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4)
    | st.dictionaries(
        st.sampled_from(["mat", "~attn", "0>3"]),
        st.dictionaries(
            st.sampled_from(["0>3", "1.0", "x"]),
            st.dictionaries(st.sampled_from(["stream", "x"]), st.lists(st.floats() | st.none(), max_size=3)),
        ),
    ),
    st.sampled_from([field.name for field in fields(CARD)]),
)
def test_an_edited_card_is_refused_or_whole(value: Any, name: str) -> None:
    text = json.dumps({**json.loads(CARD.to_json()), name: value})
    try:
        card = Card.from_json(text)
    except MapsError:
        return
    with pytest.raises(MapsError, match="could not be saved"):  # the page and the picture were made of it
        Maps(card, {}).save(Path(os.devnull) / "nowhere")


def test_parts_of_blocks_are_held_beside_casts(tmp_path: Path) -> None:
    tensors = {f"~ln.1.{span}.matrix": torch.full((4, 4), float(span)) for span in (1, 0)}
    opened = Maps.load(Maps(CARD, tensors).save(tmp_path))
    assert opened.parts == {"ln": {1}}
    assert [float(matrix[0, 0]) for matrix in opened.part("ln", 1)] == [0.0, 1.0]
    with pytest.raises(MapsError, match=r"hold no ~attn of block 1. They hold ~ln. Fit it: .*parts=\['attn'\]"):
        opened.part("attn", 1)
    with pytest.raises(MapsError, match="which is no map"):
        Maps(CARD, {"~ln.3.0.matrix": torch.eye(4)})


def test_two_sets_of_one_model_are_joined(maps: Maps, tmp_path: Path) -> None:
    more = Maps(
        replace(CARD, scores={"affine": {}}), {"affine.0.3.matrix": torch.eye(4), "affine.0.3.bias": torch.ones(4)}
    )
    both = Maps.load(maps.save(tmp_path)).merged(more)
    assert both.pairs == {"mat": {(0, 3), (1, 3), (2, 3)}, "affine": {(0, 3)}}
    assert set(both.card.scores) == {"mat", "affine"}
    assert both.tensors("affine", 0, 3)["bias"].tolist() == [1, 1, 1, 1]
    with pytest.raises(MapsError, match="Both sets hold"):
        both.merged(more)
    with pytest.raises(MapsError, match="only one model's are joined"):
        maps.merged(Maps(replace(CARD, fingerprint="e" * 64)))


def test_a_map_that_holds_no_numbers_is_named() -> None:
    spoilt = torch.eye(4)
    spoilt[1, 1] = torch.nan
    with pytest.raises(MapsError, match=r"Map mat\.0\.3\.matrix holds values that are not finite"):
        Maps(CARD, {"mat.0.3.matrix": spoilt}).tensors("mat", 0, 3)


def test_many_maps_used_one_at_a_time_are_not_kept(tmp_path: Path) -> None:
    """1,176 maps of width 256 take 300 MB; using them one after another leaves the process where it was."""
    card = replace(CARD, n_blocks=48, width=256)
    one = torch.eye(256)
    pairs = [(source, target) for source in range(48) for target in range(source + 1, 49)]
    tensors = {f"mat.{source}.{target}.matrix": one.clone() for source, target in pairs}
    Maps(card, tensors).save(tmp_path)
    del tensors
    before = psutil.Process().memory_info().rss
    opened = Maps.load(tmp_path)
    assert len(opened.pairs["mat"]) == 1176
    for pair in pairs:
        assert torch.equal(opened.tensors("mat", *pair)["matrix"], one)
    assert psutil.Process().memory_info().rss - before < 20 * 2**20


def test_maps_that_went_away_are_named(maps: Maps, tmp_path: Path) -> None:
    opened = Maps.load(maps.save(tmp_path / "mine"))
    (tmp_path / "mine" / "maps.safetensors").unlink()
    with pytest.raises(MapsError, match=r"maps\.safetensors in 'mine' was moved or changed while in use"):
        opened.tensors("mat", 0, 3)


def test_the_page_says_what_the_maps_are(tmp_path: Path) -> None:
    card = replace(CARD, model="<b>|evil|</b>`", scores={"id": {"0>3": {"stream": [-0.5, 0.1]}}, **CARD.scores})
    Maps(card, {}).save(tmp_path)
    page, picture = ((tmp_path / name).read_text() for name in ("README.md", "r2.svg"))
    assert "| layer 0 | -0.500 ± 0.100 | 0.500 ± 0.010 |" in page
    assert "<b>" not in page
    assert "20 tokens of 2 sentences: a test" in page
    cells = [title.text for title in ElementTree.fromstring(picture).iter(TITLE)]  # noqa: S314 - our own
    assert "0 → 3: 0.500" in cells
    assert "≤0.0" in picture


def test_an_unknown_cast_is_named() -> None:
    from lens.casts import cast_named

    with pytest.raises(LensError, match=r"no cast called 'magic'\. Casts are affine, id, lowrank, mat, ridge, tuned"):
        cast_named("magic")


def test_whether_a_repository_is_private_and_whose_token_reach_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("lens.casts._maps.push", lambda *given, **options: asked.append((given[0], options)))
    Maps(CARD, {}).push_to_hub("me/maps", private=True, token="t")
    assert asked == [("me/maps", {"private": True, "token": "t"})]


def test_maps_say_what_they_hold(maps: Maps) -> None:
    joined = maps.merged(Maps(CARD, {"affine.0.3.matrix": torch.eye(4), "affine.0.3.bias": torch.ones(4)}))
    orders = ("mat 3, affine 1", "affine 1, mat 3")
    assert repr(joined) in [f"Maps(of 'tiny': {held}; .card says where from)" for held in orders]
    parts = Maps(CARD, {"~ln.1.0.matrix": torch.eye(4), "~ln.1.1.matrix": torch.eye(4)})
    assert repr(parts) == "Maps(of 'tiny': no pairs, ~ln of 1 blocks; .card says where from)"


def test_a_card_can_be_read_by_a_person(tmp_path: Path) -> None:
    Maps(replace(CARD, corpus="naïve 東京"), {}).save(tmp_path)
    assert '"corpus": "naïve 東京"' in (tmp_path / "card.json").read_text(encoding="utf-8")


def test_maps_that_were_fitted_before_are_found_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later release looks in the same folder."""
    monkeypatch.delenv("LENS_MAPS", raising=False)
    monkeypatch.setattr("platformdirs.user_data_path", lambda name: tmp_path / name)
    assert store_folder("f" * 64) == tmp_path / "lens" / "maps" / ("f" * 16)
    monkeypatch.setenv("LENS_MAPS", str(tmp_path / "mine"))
    assert store_folder("f" * 64) == tmp_path / "mine" / ("f" * 16)
