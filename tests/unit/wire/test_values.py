"""What travels comes out as it went in, to the last bit; what does not is refused in words, and nothing is run."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lens.errors import LensError, PlanError
from lens.numerics import Estimate, Sweep
from lens.wire import Unreadable, as_value, decode, encode, frame, frames, raised, values
from lens.wire._fits import fits

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


@given(PLAIN)
def test_plain_values_come_back_as_they_went(value: Any) -> None:
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "bool", "uint8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_arrays_come_back_to_the_last_bit(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(dtype)
    back = decode(encode({"a": array, "b": (array, array.T)}))
    assert back["a"].dtype == array.dtype
    assert back["a"].shape == shape
    assert back["a"].tobytes() == array.tobytes()
    assert np.array_equal(back["b"][1], array.T)
    back["a"][...] = 0  # one's own, to be written to


def test_results_come_back_with_numbers_that_are_none() -> None:
    estimate = Estimate(np.array([1.5, np.nan]), np.array([np.inf, 0.0]))
    back = decode(encode(estimate))
    assert isinstance(back, Estimate)
    assert np.array_equal(back.value, estimate.value, equal_nan=True)
    assert np.array_equal(back.error, estimate.error)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, len, np.array(["text"]), np.array([None])])
def test_what_is_no_value_does_not_leave(value: Any) -> None:
    with pytest.raises(Unreadable, match="does not travel"):
        encode(value)


def message(head: Any, rest: bytes = b"") -> bytes:
    said = json.dumps(head).encode()
    return len(said).to_bytes(4, "little") + said + rest


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "ends too early"),
        (b"\xff\xff\xff\xff{}", "ends too early"),
        (pickle.dumps({"a": 1}), "ends too early"),
        (b"\x02\0\0\0{]", "no JSON"),
        (message([1], b"more"), "4 bytes are left over"),
        (message({"a": 1, "b": 2}), "not one key"),
        (message({"pickle": "gASVBQAAAAAAAABLAS4="}), "no kind of value 'pickle'"),
        (message({"float": "12"}), "no kind of value 'float'"),
        (message({"array": ["|O", [1]]}, b"12345678"), "no type and shape"),
        (message({"array": ["<f8", [-1]]}), "no type and shape"),
        (message({"array": ["<f8", [2**60]]}), "longer than the message"),
        (message({"array": [["<f8"], [1]]}), "no type and shape"),
        (message({"value": ["Popen", ["ls"]]}), "no type 'Popen'"),
        (message({"value": ["Estimate", [1]]}), "Estimate has not 2 parts"),
        (message({"value": ["Estimate", [1, 2]]}), "Estimate.value is of another type"),
        (message({"dict": [[[1], 2]]}), "can be no key"),
        (message({"dict": [[1]]}), "no list of pairs"),
        (message(json.loads("[" * 60 + "]" * 60)), "nested too deep"),
        ((99_999).to_bytes(4, "little") + b"[" * 99_999, "no JSON"),
        (message([0] * 1_000_001), "more parts"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_with_a_reason(sent: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        decode(sent)


def test_arrays_of_other_sizes_are_no_estimate() -> None:
    two = [{"array": ["|u1", [1]]}, {"array": ["|u1", [2]]}]
    with pytest.raises(Unreadable, match="Estimate can't be made"):
        decode(message({"value": ["Estimate", two]}, b"123"))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_refused(sent: bytes) -> None:
    for each in (sent, len(sent).to_bytes(4, "little") + sent):
        try:
            decode(each)
        except Unreadable:
            continue


def test_a_name_is_claimed_once() -> None:
    with pytest.raises(ImportError, match="Two classes named 'Sweep'"):
        values(type("Sweep", (), {}))
    values(Sweep)  # the same again is no claim


@pytest.mark.parametrize("cut", [1, 3, 7, 10_000])
def test_a_stream_is_read_however_it_is_cut(cut: int) -> None:
    told = [("progress", 1), ("item", "é" * 50), ("result", np.arange(5.0).tolist())]
    sent = b"".join(map(frame, told))
    assert list(frames(sent[at : at + cut] for at in range(0, len(sent), cut))) == told


def test_a_frame_larger_than_any_answer_is_refused_before_it_is_held() -> None:
    with pytest.raises(Unreadable, match="more than any answer"):
        list(frames([b"\xff\xff\xff\xff"]))


def test_errors_keep_their_class_their_words_and_their_place() -> None:
    error = PlanError("no block 9", "0-9", 2, 3)
    back = raised(decode(encode(as_value(error))))
    assert isinstance(back, PlanError)
    assert back.pointed() == error.pointed()
    assert raised({"kind": "SystemExit", "words": "", "place": None}) is None
    assert type(raised(as_value(type("Own", (LensError,), {})("words")))) is LensError


@pytest.mark.parametrize(
    ("value", "hint", "yes"),
    [
        (1, int, True), (True, int, False), (1, float, True), ("1", float, False), (None, int | None, True),
        ("a", str | int, True), (["a"], tuple[str, ...], False), (("a", 1), tuple[str, int], True),
        (("a",), tuple[str, int], False), ({"a": 1}, dict[str, int], True), ({"a": "b"}, dict[str, int], False),
        ("text", list[str], False), (object(), Any, True), (print, type(print), True), (np.zeros(1), np.ndarray, True),
    ],
)  # fmt: skip
def test_types_are_looked_at(value: Any, hint: Any, yes: bool) -> None:
    assert fits(value, hint) is yes
