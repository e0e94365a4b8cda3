"""`lens fit`, `lens convert-maps` and `lens report`, as a person calls them."""

from __future__ import annotations

import base64
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import lens
from lens.analyses import heldout_sentences, sample_sentences
from lens.app._report import verdict, write_report
from lens.app.cli import main


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n".join(sample_sentences()[:60]), encoding="utf-8")
    return path


def test_fit_writes_maps_and_says_what_they_are(text: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "maps"
    assert (
        main(["fit", "demo", "--text", str(text), "--pairs", "final", "--kind", "mat", "affine", "--out", str(out)])
        == 0
    )
    said = capsys.readouterr().out
    assert "GB beside the model, in one pass" in said
    assert "mat r² to layer 12" in said
    assert "of 192 directions (there were no more vectors)" in said or "of 192 directions (its vectors" in said
    maps = lens.Maps.load(out)
    assert set(maps.pairs) == {"mat", "affine"}
    assert (maps.card.corpus, maps.card.sentences) == ("text.txt", 54)
    assert not (out / ".fit").exists()
    reading = lens.read(lens.load("demo"), "The old man", casts=("affine",), maps=maps)
    assert reading.casts == ("affine",)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"\xff\xfe\x00", "bad.txt", "no text in UTF-8"),
        (b"\n \n", "empty.txt", "There is no text in empty.txt"),
        (b'{"a": 1}', "list.json", "no list of sentences"),
        (b"[1, 2]", "list.json", "no list of sentences"),
        (b"[", "list.json", "can't be read"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, content: bytes, name: str, message: str, capsys: Any) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["fit", "demo", "--text", str(path)]) == 2
    assert message in capsys.readouterr().err
    assert main(["fit", "demo", "--text", str(tmp_path / "none.txt")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_convert_maps(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "3_12.pickle").write_bytes(pickle.dumps(2 * torch.eye(192)))
    assert main(["convert-maps", str(folder), "--for", "demo", "--out", str(tmp_path / "out")]) == 0
    maps = lens.Maps.load(tmp_path / "out")
    assert torch.equal(maps.tensors("mat", 3, 12)["matrix"], 2 * torch.eye(192))
    assert main(["convert-maps", str(tmp_path), "--for", "demo", "--out", str(tmp_path / "out")]) == 2
    assert "no folder of published maps" in capsys.readouterr().err


def test_the_report_holds_every_section_and_asks_for_nothing(tmp_path: Path) -> None:
    heard: list[str] = []
    out = write_report(
        lens.load("demo"),
        heldout_sentences(),
        tmp_path / "r.html",
        sentences=25,
        corpus="<b>evil</b>",
        told=heard.append,
    )
    page = out.read_text(encoding="utf-8")
    body = page[page.index("</script></head>") :]
    for title in (
        "How good is a linear map",
        "What each layer knows",
        "Leaving early",
        "Linear sub-modules",
        "in turn",
    ):
        assert f"<h2>{title}" in body or title in body
        assert any(title in stage for stage in heard)
    assert "give a second corpus" in body
    assert "at 95 % accuracy mat saves 7.9 %" in body
    assert "<b>evil" not in body
    assert re.search(r"(src|href)=\"https?:", body) is None
    assert page.count("Content-Security-Policy") == 1
    csv = base64.b64decode(re.findall(r"data:text/csv;base64,([\w+/=]+)", body)[0]).decode()
    assert csv.splitlines()[0] == "cast,source,target,variant,r2,error"
    assert "'~attn" not in csv


def test_what_cannot_be_computed_says_so_in_its_place(tmp_path: Path) -> None:
    model = lens.load("demo")
    maps = lens.fit(model, sample_sentences()[:40], pairs="final")
    page = write_report(model, heldout_sentences(), tmp_path / "r.html", maps=maps, sentences=10).read_text("utf-8")
    assert "Not computed: Maps of ~attn for every block are needed" in page
    assert "Not computed: Scored mat maps of all pairs" in page
    with pytest.raises(lens.LensError, match="could not be written"):
        write_report(model, heldout_sentences(), tmp_path / "no" / "r.html", maps=maps, sentences=2)


@pytest.mark.parametrize(
    ("difference", "error", "said"),
    [
        (0.3, 0.1, "holds"),
        (-0.3, 0.1, "does not hold"),
        (0.1, 0.1, "can't be told"),
        (0.1, float("nan"), "can't be told"),
    ],
)
def test_a_claim_is_judged_by_two_errors(difference: float, error: float, said: str) -> None:
    assert verdict(difference, error) == said
