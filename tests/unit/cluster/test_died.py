"""Whoever serves an engine notices that its cluster has died, by its head or its machines."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from lens.cluster import Serving, died
from lens.cluster._serve import AWAY


class Cluster:
    """As much of Ray as is asked: a head that listens, and a machine."""

    def __init__(self) -> None:
        self.head = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.head.getsockname()[1]}"
        self.alive = True
        self.asked = threading.Event()

    def is_initialized(self) -> bool:
        return True

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address=self.address)

    def nodes(self) -> list[dict[str, Any]]:
        assert self.head.fileno() >= 0, "a dead head is asked, which would end this program"
        self.asked.set()
        return [{"Alive": self.alive}]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    monkeypatch.setattr("lens.cluster._serve.ray", lambda: made)
    monkeypatch.setattr("lens.cluster._serve.LOOK", 0.01)
    return made


def test_a_cluster_that_lives_is_left_alone_until_ctrl_c(cluster: Cluster) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: cluster.asked.wait(60) and ended.set(), daemon=True).start()
    assert not died(Serving(), ended)
    cluster.head.close()


@pytest.mark.parametrize("serving", [Serving(), Serving(address="10.0.0.1:6379")])
def test_one_without_a_machine_or_without_a_head_has_died(cluster: Cluster, serving: Serving) -> None:
    cluster.alive = False
    assert died(serving, threading.Event())
    cluster.head.close()
    assert died(serving, threading.Event())


def test_one_that_was_there_before_may_be_out_of_reach_for_a_moment(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    looks = iter([*[*[False] * (AWAY - 1), True] * 3, None])
    monkeypatch.setattr("lens.cluster._serve._lives", lambda: next(looks) or ended.set())
    assert not died(Serving(address="10.0.0.1:6379"), ended)
    cluster.head.close()
