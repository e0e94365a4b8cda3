"""How Voilà is set up, and which port it takes."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from voila.configuration import VoilaConfiguration

from lens.app import _serve
from lens.app._options import Options, place
from lens.app._places import CHECKOUT, TEMPLATE, expose_template
from lens.errors import LensError

HERE = "127.0.0.1"


def policy_of(options: Options) -> str:
    """The content policy that every answer carries."""
    settings = _serve.configuration(Path("book.ipynb"), options).Voila.tornado_settings
    policy: str = settings["headers"]["Content-Security-Policy"]
    return policy


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that someone listens on, with at least one free above it."""
    with socket.socket() as listener:
        listener.bind((HERE, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_beside_a_taken_port_the_next_free_one_serves(taken: int) -> None:
    with _serve.bind(HERE, taken) as beside:
        free = _serve.port_of(beside)
    assert taken < free < taken + _serve.PORTS_TRIED
    with _serve.bind(HERE, free) as listening:
        assert _serve.port_of(listening) == free


def test_no_free_port_is_said_in_words(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_serve, "PORTS_TRIED", 1)
    with pytest.raises(LensError, match=rf"No port from {taken} to {taken} is free; give another with --port\."):
        _serve.bind(HERE, taken)


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(LensError, match=r"Cannot listen on '192\.0\.2\.1', port 8866: "):
        _serve.bind("192.0.2.1", 8866)  # kept for documentation, so no machine has it


@pytest.mark.parametrize(
    ("host", "name"),
    [(HERE, HERE), ("::1", "[::1]"), ("0.0.0.0", socket.gethostname())],  # noqa: S104
)
def test_the_address_is_one_that_a_browser_takes(host: str, name: str) -> None:
    assert _serve._address(Options(host=host), 8866) == f"http://{name}:8866/"


def test_every_setting_is_one_that_exists() -> None:
    settings = _serve.configuration(Path("book.ipynb"), Options(preheat=2))
    assert not set(settings.VoilaConfiguration) - set(VoilaConfiguration.class_trait_names(config=True))
    assert not set(settings.Voila) - set(_serve.Voila.class_trait_names())


def test_visitors_cannot_change_the_page_or_see_its_source() -> None:
    settings = _serve.configuration(Path("book.ipynb"), Options()).VoilaConfiguration
    assert settings.allow_template_override == settings.allow_theme_override == "NO"
    assert settings.strip_sources
    assert not settings.show_tracebacks
    assert not settings.file_allowlist


def test_only_a_server_for_others_answers_to_other_names() -> None:
    def answers_to_any(host: str) -> bool:
        settings = _serve.configuration(Path("book.ipynb"), Options(host=host)).Voila.tornado_settings
        return bool(settings["allow_remote_access"])

    assert not any(map(answers_to_any, (HERE, "localhost", "::1")))
    assert answers_to_any("0.0.0.0")  # noqa: S104 - a setting, nothing listens


def test_the_page_may_ask_no_other_host() -> None:
    policy = policy_of(Options())
    assert "default-src 'self'" in policy
    assert policy.endswith("frame-ancestors 'self'")
    assert not re.search(r"https?:|\*", policy)


def test_the_sites_that_may_show_the_page_are_stated() -> None:
    assert policy_of(Options(frames=("https://school.example",))).endswith(
        "frame-ancestors 'self' https://school.example"
    )


def test_behind_a_proxy_the_page_goes_by_the_proxys_name() -> None:
    options = Options(place=place("https://lens.example/here"), token="secret")
    assert _serve._address(options, 8866) == "https://lens.example/here/?token=secret"
    settings = _serve.configuration(Path("book.ipynb"), options).Voila
    assert settings.base_url == "/here/"
    assert settings.tornado_settings["local_hostnames"] == ["localhost", "lens.example"]
    assert settings.tornado_settings["allow_origin"] == "https://lens.example"
    assert not settings.tornado_settings["allow_remote_access"]


def test_kernels_meet_in_files_where_their_names_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = os.sep + "t", os.sep + "t" * 60
    monkeypatch.setattr(tempfile, "tempdir", short)
    assert _serve.configuration(Path("book.ipynb"), Options()).ConnectionFileMixin.transport == "ipc"
    monkeypatch.setattr(tempfile, "tempdir", long)
    assert _serve.configuration(Path("book.ipynb"), Options()).ConnectionFileMixin.transport == "tcp"


def test_the_kernel_is_this_python() -> None:
    manager = _serve._ThisPython()
    assert isinstance(manager, KernelSpecManager)
    assert list(manager.find_kernel_specs()) == ["python3"]
    assert manager.get_kernel_spec("python3").argv[0] == sys.executable


def test_a_checkout_shows_its_template_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", "elsewhere")
    expose_template()
    first, second = os.environ["JUPYTER_PATH"].split(os.pathsep)
    assert (Path(first) / "voila" / "templates" / TEMPLATE / "index.html.j2").is_file()
    assert Path(first).is_relative_to(CHECKOUT)
    assert second == "elsewhere"
