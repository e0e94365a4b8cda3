"""Published maps become our own; a pickle that would run something runs nothing."""

from __future__ import annotations

import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from lens.casts import Maps, cast_named
from lens.casts.imports import convert
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
        with pytest.raises(MapsError, match="no pickled tensor"):
            load_tensor(path)


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda data: data[:-20], lambda data: b"\x80\x04" + data[30:]])
def test_what_is_left_of_a_pickle_is_said_to_be_none(tmp_path: Path, spoil: Any) -> None:
    path = pickled(tmp_path, spoil(legacy(torch.eye(4))))
    with pytest.raises(MapsError, match=r"0_3\.pickle is no pickled tensor, or only part of one"):
        load_tensor(path)


def test_other_things_in_a_pickle_are_named(tmp_path: Path) -> None:
    with pytest.raises(MapsError, match="holds dict, and a tensor was expected"):
        load_tensor(pickled(tmp_path, {"a": 1}))


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
