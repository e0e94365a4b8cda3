"""Published maps become our own; a pickle that would run something runs nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
import time
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from lens.casts import Maps, cast_named
from lens.casts.imports import _pickled, convert
from lens.casts.imports.linear_shortcut import load_tensor
from lens.errors import MapsError

MODEL: dict[str, Any] = {"name": "tiny", "fingerprint": "f" * 64, "n_blocks": 3, "width": 4}


def pickled(folder: Path, thing: Any, name: str = "0_3.pickle") -> Path:
    path = folder / name
    path.write_bytes(thing if isinstance(thing, bytes) else pickle.dumps(thing))
    return path


def legacy(tensor: torch.Tensor) -> bytes:
    """As pickle.dump writes a tensor: the storage nested in PyTorch's legacy format."""
    return pickle.dumps(tensor)


def test_a_strided_view_comes_without_its_buffer(tmp_path: Path) -> None:
    buffer = torch.arange(64.0).reshape(8, 8)
    for view in (buffer[2:6, 1:5], buffer[:4, :4].T, buffer[::2, ::2]):
        loaded = load_tensor(pickled(tmp_path, view))
        assert torch.equal(loaded, view)
        assert loaded.is_contiguous()
        assert loaded.untyped_storage().nbytes() == 64


def test_published_pickles_become_maps_that_apply_as_they_say(tmp_path: Path) -> None:
    matrices = {(0, 3): torch.randn(4, 4), (1, 3): torch.randn(4, 4).T, (1, 2): torch.randn(8, 8)[::2, ::2]}
    for (source, target), matrix in matrices.items():
        pickled(tmp_path, matrix, f"{source}_{target}.pickle")
    maps = convert(tmp_path, **MODEL)
    opened = Maps.load(maps.save(tmp_path / "converted"))
    opened.check(**MODEL)
    assert opened.pairs == {"mat": set(matrices)}
    vector = torch.randn(4)
    for (source, target), matrix in matrices.items():
        applied = cast_named("mat").apply(vector, **opened.tensors("mat", source, target))
        torch.testing.assert_close(applied, matrix @ vector)
    assert "imported" in opened.card.corpus


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


@pytest.mark.parametrize("way", ["system", "eval", "load", "getattr", "nested", "state", "storage"])
def test_a_malicious_pickle_runs_nothing(tmp_path: Path, way: str) -> None:
    sentinel = tmp_path / "ran"
    touch = f"touch {sentinel}"
    evil = {
        "system": Call(os.system, touch),
        "eval": Call(eval, f"open({str(sentinel)!r}, 'w')"),
        "load": Call(torch.load, io.BytesIO(pickle.dumps(Call(os.system, touch)))),
        "getattr": Call(getattr, Call(__import__, "os"), "system"),
        "nested": Call(torch.storage._load_from_bytes, pickle.dumps(Call(os.system, touch))),
        "state": {"matrix": torch.eye(4), "more": Call(os.system, touch)},
        "storage": Call(torch._utils._rebuild_tensor_v2, [1.0] * 16, 0, (4, 4), (4, 1), False, None),
    }[way]
    path = pickled(tmp_path, evil)
    with pytest.raises(MapsError):
        load_tensor(path)
    with pytest.raises(MapsError):
        convert(tmp_path, **MODEL)
    assert not sentinel.exists()
    if way == "system":  # the same bytes do run where nobody looks, so the test could fail
        pickle.loads(path.read_bytes())  # noqa: S301
        assert sentinel.exists()


def test_a_view_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    rebuild, arguments = torch.eye(4).__reduce_ex__(2)
    storage = arguments[0]
    for size, stride, offset in [((400, 400), (400, 1), 0), ((4, 4), (4, 1), 10**9), ((4, 4), (-4, 1), 0)]:
        path = pickled(tmp_path, Call(rebuild, storage, offset, size, stride, *arguments[4:]))
        with pytest.raises(MapsError, match=r"no pickled tensor|larger than its storage"):
            load_tensor(path)


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda data: data[:-20], lambda data: data[:9] + b"\xff" + data[9:]])
def test_what_is_left_of_a_pickle_is_said_to_be_none(tmp_path: Path, spoil: Any) -> None:
    path = pickled(tmp_path, spoil(legacy(torch.eye(4))))
    with pytest.raises(MapsError, match=r"0_3\.pickle is no pickled tensor, or only part of one"):
        load_tensor(path)


def test_other_things_in_a_pickle_are_named(tmp_path: Path) -> None:
    with pytest.raises(MapsError, match="holds dict, and a tensor was expected"):
        load_tensor(pickled(tmp_path, {"a": 1}))


def doubled(levels: int) -> Any:
    """A tuple of one tuple twice, and so on: small in a pickle, and 2^levels long for whoever walks it."""
    value: Any = ()
    for _ in range(levels):
        value = (value, value)
    return value


class Ordered:
    """Pickles as OrderedDict(…) of something."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> Any:
        return OrderedDict, self.arguments


@pytest.mark.parametrize("way", ["key", "constructor", "nested"])
def test_a_pickle_that_would_hash_for_ever_is_refused_at_once(tmp_path: Path, way: str) -> None:
    """Each took longer than anybody waits: Python hashes a tuple by walking it."""
    bomb = doubled(60)
    keyed = b"\x80\x02}" + pickle.dumps(bomb, 2)[2:-1] + b"K\x01s."  # {bomb: 1}
    legacy_head = pickle.dumps(_pickled.MAGIC, 2) + pickle.dumps(1001, 2)
    evil = {
        "key": keyed,
        "constructor": pickle.dumps(Ordered(((bomb, 1),))),
        "nested": pickle.dumps(Call(torch.storage._load_from_bytes, legacy_head + keyed)),
    }[way]
    begun = time.monotonic()
    with pytest.raises(MapsError):
        load_tensor(pickled(tmp_path, evil))
    assert time.monotonic() - begun < 5


def test_tuples_in_tuples_do_not_overflow_the_stack(tmp_path: Path) -> None:
    """Python hashes nested tuples without looking at the stack; as many as a pickle may hold must be few enough."""
    data = b"\x80\x02})" + b"\x85" * (_pickled.MOST - 10) + b"K\x01s."
    with pytest.raises(MapsError, match="holds dict"):
        load_tensor(pickled(tmp_path, data))
    with pytest.raises(MapsError, match="or too many"):
        load_tensor(pickled(tmp_path, b"\x80\x02})" + b"\x85" * 10**6 + b"K\x01s."))


def test_a_few_bytes_do_not_become_terabytes(tmp_path: Path) -> None:
    rebuild, arguments = torch.eye(4).__reduce_ex__(2)
    for size, stride in [((10**7, 10**7), (0, 0)), ((2,) * 40, (0,) * 40), ((-1, -1), (1, 1))]:
        path = pickled(tmp_path, Call(rebuild, arguments[0], 0, size, stride, *arguments[4:]))
        with pytest.raises(MapsError):
            load_tensor(path)
    huge = b"\x80\x02K\x01r\xff\xff\xff\x7f."  # kept at place 2^31: the table of kept values grows to 32 GB
    with pytest.raises(MapsError, match="keeps more values than any map needs"):
        load_tensor(pickled(tmp_path, huge))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_ordinary_file_is_not_opened(tmp_path: Path, make: Any) -> None:
    """Opening a pipe would wait for ever."""
    make(tmp_path / "0_3.pickle")
    with pytest.raises(MapsError, match="no ordinary file"):
        convert(tmp_path, **MODEL)


def tuned(folder: Path, bias: bool = True) -> dict[str, torch.Tensor]:
    """A checkpoint as the tuned-lens package saves one: the state of a ModuleList of linear layers."""
    translators = torch.nn.ModuleList([torch.nn.Linear(4, 4, bias=bias) for _ in range(3)])
    torch.save(translators.state_dict(), folder / "params.pt")
    config = {"base_model_name_or_path": "tiny", "d_model": 4, "num_hidden_layers": 3, "bias": bias}
    (folder / "config.json").write_text(json.dumps(config))
    return dict(translators.state_dict())


@pytest.mark.parametrize("bias", [True, False])
def test_a_tuned_lens_is_applied_as_its_package_does(tmp_path: Path, bias: bool) -> None:
    state = tuned(tmp_path, bias)
    maps = convert(tmp_path, **MODEL)
    assert maps.pairs == {"tuned": {(0, 3), (1, 3), (2, 3)}}
    h = torch.randn(5, 4)
    for layer in range(3):
        translator = torch.nn.functional.linear(h, state[f"{layer}.weight"], state.get(f"{layer}.bias"))
        applied = cast_named("tuned").apply(h, **maps.tensors("tuned", layer, 3))
        torch.testing.assert_close(applied, h + translator)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    with pytest.raises(MapsError, match=r"no folder of published maps\. Known are: .*pickle.*tuned-lens"):
        convert(tmp_path, **MODEL)
    pickled(tmp_path, torch.eye(5))
    with pytest.raises(MapsError, match=r"map 0 → 3 of shape \(5, 5\) does not fit tiny: 3 blocks of width 4"):
        convert(tmp_path, **MODEL)
    pickled(tmp_path, torch.eye(4))
    with pytest.raises(MapsError, match="does not fit tiny: 2 blocks"):
        convert(tmp_path, **MODEL | {"n_blocks": 2})


def test_a_broken_tuned_lens_is_said_to_be_one(tmp_path: Path) -> None:
    tuned(tmp_path)
    (tmp_path / "params.pt").write_bytes(b"nothing")
    with pytest.raises(MapsError, match="no whole checkpoint of a tuned lens"):
        convert(tmp_path, **MODEL)


def repacked(folder: Path, data: bytes, compression: int = zipfile.ZIP_STORED, **more: bytes) -> None:
    """params.pt with another pickle in it."""
    tuned(folder)
    with zipfile.ZipFile(folder / "params.pt") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(folder / "params.pt", "w", compression) as new:
        for name, content in (entries | more).items():
            new.writestr(name, data if name.endswith("data.pkl") else content)


REFUSED = {
    "a Counter, which has every key": pickle.dumps(Counter(), 2),
    "a call": pickle.dumps(Call(os.system, "false"), 2),
    "a large buffer": pickle.dumps(Call(bytearray, 10**12), 2),
    "a number": b"\x80\x02K\x01.",
    "numbers for tensors": b"\x80\x02ccollections\nOrderedDict\n)RX\x08\x00\x00\x000.weightK\x01s.",
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_tuned_lens_is_nothing_but_tensors(tmp_path: Path, what: str) -> None:
    repacked(tmp_path, REFUSED[what])
    with pytest.raises(MapsError, match="no whole checkpoint of a tuned lens"):
        convert(tmp_path, **MODEL)


def test_a_tuned_lens_that_unpacks_to_more_is_refused(tmp_path: Path) -> None:
    tuned(tmp_path)
    with zipfile.ZipFile(tmp_path / "params.pt") as old:
        data = old.read("params/data.pkl")
    repacked(tmp_path, data, zipfile.ZIP_DEFLATED)
    with pytest.raises(MapsError, match="is compressed, which PyTorch never does"):
        convert(tmp_path, **MODEL)


def test_one_storage_does_not_become_many_tensors(tmp_path: Path) -> None:
    tuned(tmp_path)
    with zipfile.ZipFile(tmp_path / "params.pt") as old:
        data = old.read("params/data.pkl")
    repacked(tmp_path, data.replace(b"X\x01\x00\x00\x002", b"X\x01\x00\x00\x000"))
    with pytest.raises(MapsError, match="KeyError"):
        convert(tmp_path, **MODEL)


@pytest.mark.parametrize("layers", [10**9, 0, -1, 2.0, "3", None, [3]])
def test_a_tuned_lens_of_no_sensible_depth_is_refused(tmp_path: Path, layers: Any) -> None:
    tuned(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"num_hidden_layers": layers}))
    with pytest.raises(MapsError, match="a whole number from 1 to 9,999 is needed"):
        convert(tmp_path, **MODEL)


def test_a_config_as_large_as_a_film_is_refused(tmp_path: Path) -> None:
    tuned(tmp_path)
    with (tmp_path / "config.json").open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(MapsError, match=r"config\.json is larger than 1,048,576 bytes"):
        convert(tmp_path, **MODEL)
