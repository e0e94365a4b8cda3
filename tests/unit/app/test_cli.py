"""The command line: what it hands on, and what it says when it cannot."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import lens
from lens import _limits
from lens.app import _lab, _serve, cli
from lens.app._options import Options, Place
from lens.errors import LensError


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path = tmp_path / "mine.ipynb"
    path.write_text("{}", encoding="utf-8")
    return path


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which no limit is set, nor left by a test."""
    for name in (*_limits.for_public(()), _limits.variable("kept")):
        monkeypatch.setenv(name, "")  # set, so that what main sets is undone afterwards
        monkeypatch.delenv(name)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, unlimited: None) -> list[dict[str, Any]]:
    """What would be served, in place of serving it."""
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(_serve, "serve", lambda path, options: calls.append({"path": path, **vars(options)}))
    monkeypatch.setenv(cli.MODEL_VARIABLE, "")  # set, so that what main sets is undone afterwards
    monkeypatch.delenv(cli.MODEL_VARIABLE)
    return calls


def test_what_is_said_reaches_the_server(served: list[dict[str, Any]], notebook: Path) -> None:
    line = f"app --notebook {notebook} --port 9000 --host 0.0.0.0 --no-browser --preheat 3 --debug"
    line += " --visitors 5 --idle 60 --no-fork --base-url /lens --token secret --frame-ancestors https://a.example https://*.b.example"
    assert cli.main(line.split()) == 0
    assert served == [
        {
            "path": notebook,
            "host": "0.0.0.0",  # noqa: S104
            "port": 9000,
            "place": Place("/lens/"),
            "token": "secret",
            "visitors": 5,
            "frames": ("https://a.example", "https://*.b.example"),
            "idle": 60,
            "preheat": 3,
            "fork": False,
            "browser": False,
            "debug": True,
        }
    ]


def test_what_is_not_said_stays_on_this_machine(served: list[dict[str, Any]], notebook: Path) -> None:
    assert cli.main(["app", "--notebook", str(notebook)]) == 0
    assert served[0] == {"path": notebook, **vars(Options())}
    assert served[0]["host"] == "127.0.0.1"
    assert not served[0]["token"]


@pytest.mark.parametrize("line", ["--host 0.0.0.0", "--base-url https://lens.example"])
def test_where_others_can_come_in_a_token_is_made_up(line: str, served: list[dict[str, Any]], notebook: Path) -> None:
    tokens = set()
    for _ in range(2):
        assert cli.main(["app", "--notebook", str(notebook), *line.split()]) == 0
        tokens.add(served[-1]["token"])
    assert len(tokens) == 2
    assert all(len(token) >= 32 for token in tokens)


def test_public_lets_everyone_in(served: list[dict[str, Any]], notebook: Path) -> None:
    assert cli.main(["app", "--notebook", str(notebook), "--host", "0.0.0.0", "--public"]) == 0  # noqa: S104
    assert served[0]["token"] == ""


@pytest.mark.usefixtures("served")
def test_strangers_get_lens_own_models_in_modest_measure(notebook: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["app", "--notebook", str(notebook), "--host", "0.0.0.0"]) == 0  # noqa: S104
    assert _limits.allowed_models() is None  # those who have a token are no strangers
    assert cli.main(["app", "--notebook", str(notebook), "--public"]) == 0
    assert _limits.allowed_models() == lens.embedded()
    assert {name: _limits.limit(name) for name in _limits.PUBLIC} == _limits.PUBLIC
    assert all(most < _limits.DEFAULTS[name] for name, most in _limits.PUBLIC.items())
    assert _limits.DEFAULTS.keys() - _limits.PUBLIC.keys() == {"kept"}  # which each page has divided
    assert "Visitors are held to LENS_MODELS=demo,demo-bert LENS_MAX_TEXT=5000 " in capsys.readouterr().out


@pytest.mark.usefixtures("served")
def test_what_the_host_has_set_stays(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_MODELS", "")  # set, and empty: any
    monkeypatch.setenv("LENS_MAX_STEPS", "9000")
    assert cli.main(["app", "--notebook", str(notebook), "--public"]) == 0
    assert (_limits.allowed_models(), _limits.limit("steps")) == (None, 9000)
    assert _limits.limit("seconds") == _limits.PUBLIC["seconds"]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("visitors", "kept"), [(1, 512), (8, 256), (32, 64), (64, 64)])
def test_sessions_keep_an_even_part_of_half_the_memory(
    visitors: int, kept: int, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "main_memory_free", lambda: 4 * 2**30)
    assert cli.main(["app", "--notebook", str(notebook), "--visitors", str(visitors)]) == 0
    assert _limits.limit("kept") == kept
    monkeypatch.setenv("LENS_MAX_KEPT", "300")
    assert cli.main(["app", "--notebook", str(notebook), "--visitors", str(visitors)]) == 0
    assert _limits.limit("kept") == 300


def test_strangers_get_the_hosts_own_model_too(
    served: list[dict[str, Any]], notebook: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mine", "mine,too"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}", encoding="utf-8")
    line = ["app", "--notebook", str(notebook), "--public", "--model"]
    assert cli.main([*line, str(tmp_path / "mine,too")]) == 2
    said = capsys.readouterr().err
    assert (
        said
        == f"lens: LENS_MODELS can't name '{tmp_path}/mine,too', as it has a comma. Give the folder a name without.\n"
    )
    assert not served
    assert cli.main([*line, str(tmp_path / "mine")]) == 0
    assert _limits.allowed_models() == (*lens.embedded(), str(tmp_path / "mine"))


def test_public_with_a_token_is_refused(
    served: list[dict[str, Any]], notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["app", "--notebook", str(notebook), "--public", "--token", "secret"]) == 2
    assert capsys.readouterr().err == "lens: --public lets everyone in and --token does not; give one of them.\n"
    assert not served


def test_maps_of_the_model_reach_the_kernel_in_full(
    served: list[dict[str, Any]], notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(lens.__file__).parent / "models" / "embedded" / "demo" / "maps"
    monkeypatch.setenv(cli.MAPS_VARIABLE, "")
    monkeypatch.delenv(cli.MAPS_VARIABLE)
    monkeypatch.chdir(folder.parent)
    assert cli.main(["app", "--notebook", str(notebook), "--model", "demo", "--maps", "maps"]) == 0
    assert os.environ[cli.MAPS_VARIABLE] == str(folder)


def test_maps_of_another_model_are_refused(
    served: list[dict[str, Any]], notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(lens.__file__).parent / "models" / "embedded" / "demo" / "maps"
    assert cli.main(["app", "--notebook", str(notebook), "--model", "demo-bert", "--maps", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("lens: ")
    assert "demo" in said
    assert said.count("\n") == 1
    assert not served


def test_without_a_notebook_lens_serves_its_own(served: list[dict[str, Any]]) -> None:
    assert cli.main(["app"]) == 0
    assert served[0]["path"].name == "explore.ipynb"
    assert served[0]["path"].is_file()


def test_a_folder_reaches_the_kernel_in_full(
    served: list[dict[str, Any]], notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["app", "--notebook", str(notebook), "--model", "model"]) == 0
    assert os.environ[cli.MODEL_VARIABLE] == str(tmp_path / "model")


def test_a_hub_name_reaches_the_kernel_as_it_is(served: list[dict[str, Any]], notebook: Path) -> None:
    assert cli.main(["app", "--notebook", str(notebook), "--model", "owner/name"]) == 0
    assert os.environ[cli.MODEL_VARIABLE] == "owner/name"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("app --port 70000", "'70000' is no port; give a whole number from 1 to 65535"),
        ("app --port 0", "'0' is no port; give a whole number from 1 to 65535"),
        ("lab --port eighty", "'eighty' is no port; give a whole number from 1 to 65535"),
        ("app --preheat -1", "'-1' is no number of sessions; give 0 or more"),
        ("app --visitors 0", "'0' is no number of visitors; give 1 or more"),
        (
            "app --base-url /a/../b?c",
            "'/a/../b?c' is no place for the page; give a path (/lens/) or an address (https://host/lens/)",
        ),
        ("app --frame-ancestors *", "'*' is no site; give one as https://example.org or https://*.example.org"),
        ("app --notebook nowhere.ipynb", "there is no notebook 'nowhere.ipynb'; give the path of an .ipynb file"),
        ("app --nonsense", "unrecognized arguments: --nonsense"),
        ("", "the following arguments are required: app | lab | serve | fit | report | convert-maps | bench | export"),
    ],
)
def test_a_bad_line_is_answered_with_one_line(
    line: str, words: str, served: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(line.split())
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert said.err.endswith(f"{words}\n")
    assert said.err.count("\n") == 1
    assert not said.out
    assert not served


def test_a_bad_model_is_answered_with_one_line(
    served: list[dict[str, Any]], notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["app", "--notebook", str(notebook), "--model", "no/such/folder"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("lens: There is no folder 'no/such/folder'")
    assert said.err.count("\n") == 1
    assert not served


@pytest.mark.usefixtures("unlimited")
def test_trouble_on_the_way_is_answered_with_one_line(
    monkeypatch: pytest.MonkeyPatch, notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise LensError("No port is free.")

    monkeypatch.setattr(_serve, "serve", refuse)
    assert cli.main(["app", "--notebook", str(notebook)]) == 2
    assert capsys.readouterr().err == "lens: No port is free.\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"lens {lens.__version__}\n"


def test_lab_opens_the_notebook_that_is_named(monkeypatch: pytest.MonkeyPatch, notebook: Path) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(_lab.LabApp, "launch_instance", calls.append)
    assert cli.main(["lab", "--notebook", str(notebook), "--port", "9001", "--no-browser"]) == 0
    assert {f"--ServerApp.root_dir={notebook.parent}", "--LabApp.default_url=/lab/tree/mine.ipynb"} <= set(calls[0])
    assert {"--ServerApp.port=9001", "--ServerApp.open_browser=False", "--ServerApp.ip=127.0.0.1"} <= set(calls[0])
