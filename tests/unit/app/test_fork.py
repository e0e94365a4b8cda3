"""Kernels that are forked from a warm process: whole, strangers to each other, and as mortal as any."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import comm
import ipywidgets
import psutil
import pytest
import torch
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from lens.app import _fork, _kernel
from lens.app._fork import Forked, WarmProcess
from lens.app._serve import FORKED, _Forking
from lens.panels import _warm

Start = Callable[[], "Running"]


class Running:
    """A kernel, and a client that has spoken with it."""

    def __init__(self, spec: KernelSpec) -> None:
        self.folder = Path(mkdtemp())  # for its sockets; without one all kernels of all tests would share theirs
        self.manager = KernelManager(transport="ipc", connection_file=str(self.folder / "kernel.json"))
        self.manager._kernel_spec = spec
        self.manager.start_kernel()
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def process(self) -> Any:
        return self.manager.provisioner.process  # type: ignore[union-attr]

    def says(self, code: str) -> str:
        """What a cell prints."""
        printed: list[str] = []

        def heard(message: dict[str, Any]) -> None:
            content = message["content"]
            printed.append(content.get("text", "") or "".join(content.get("traceback", [])))

        self.client.execute_interactive(code, output_hook=heard, timeout=60)
        return "".join(printed).strip()

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmProcess]:
    found = WarmProcess.get()
    assert found is not None
    assert found.ready(120)
    yield found
    assert WarmProcess.current is not None
    WarmProcess.current.close()
    WarmProcess.current = None


@pytest.fixture
def start(warm: WarmProcess) -> Iterator[Start]:
    """`start()`: a kernel as `lens app` starts one."""
    spec = _Forking().get_kernel_spec("python3")
    running: list[Running] = []

    def started() -> Running:
        running.append(Running(spec))
        return running[-1]

    yield started
    for kernel in running:
        kernel.end()


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it did not happen within 20 seconds"
        time.sleep(0.05)


def test_a_process_with_another_thread_is_not_forked_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kernel.time, "sleep", lambda _: None)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    assert not _kernel._alone()
    done.set()
    thread.join()


def test_the_entry_point_is_known_by_the_name_that_the_kernelspec_gives(start: Start) -> None:
    assert _Forking().get_kernel_spec("python3").metadata["kernel_provisioner"] == FORKED["kernel_provisioner"]
    kernel = start()
    assert isinstance(kernel.process, Forked)


def test_a_fork_has_the_model_in_memory_and_reads_as_any_process(start: Start) -> None:
    kernel = start()
    loaded = "from lens.panels import _warm; print(_warm._kept[0].models['demo'].loaded)"
    assert kernel.says(loaded) == "True"
    code = "import lens; print(lens.read(lens.load('demo'), 'The old man sat').probabilities.sum().item())"
    here: dict[str, Any] = {}
    exec(code.replace("print", "value = "), here)  # noqa: S102 - the same line, in this process
    assert float(kernel.says(code)) == pytest.approx(here["value"], rel=1e-6)


def test_a_fork_hears_of_a_pages_widgets_at_once(start: Start) -> None:
    """Without that target a page asks for its widgets one by one, which takes seconds, or for ever."""
    assert start().says("import comm; print('jupyter.widget.control' in comm.get_comm_manager().targets)") == "True"


def test_a_fork_has_its_own_threads_chance_and_folder(start: Start) -> None:
    code = """
import os, random, uuid, numpy, torch
torch.set_num_threads(2)
x = torch.randn(600, 600); (x @ x).sum().item()
print(random.random(), numpy.random.random(), torch.rand(1).item(), uuid.uuid4(), os.getcwd())
"""
    one, other = (start().says(code).split() for _ in range(2))
    assert len(one) == len(other) == 5
    assert all(a != b for a, b in zip(one[:4], other[:4], strict=True))
    assert one[4] == other[4] == str(Path.cwd())


def test_a_fork_has_the_environment_that_it_was_given_and_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENS_OF_THIS_VISITOR", "mine")
    assert start().says("import os; print(os.environ.get('LENS_OF_THIS_VISITOR'))") == "mine"
    monkeypatch.delenv("LENS_OF_THIS_VISITOR")
    assert start().says("import os; print(os.environ.get('LENS_OF_THIS_VISITOR'))") == "None"


def test_a_fork_asks_no_module_for_its_file(start: Start) -> None:
    """That alone copied a fifth of all that a visitor costs, for a debugger that no visitor has."""
    assert start().says("import sys; print(len(sys.modules) > 999, get_ipython().kernel._kernel_modules)") == "True []"


def test_no_visitor_finds_anothers_text_in_memory(start: Start, warm: WarmProcess) -> None:
    secret = "the treasure lies under the third oak"
    one = start()
    one.says(f"import lens; seen = lens.explore('demo', {secret!r}); kept = {secret!r} * 1000")
    for process in (start().process.pid, warm.process.pid):
        assert secret.encode() not in memory_of(process)
    assert secret.encode() in memory_of(one.process.pid)


def memory_of(pid: int) -> bytes:
    """All that the process has written, as another process of the same user can read it."""
    found = bytearray()
    place = Path(f"/proc/{pid}")
    with (place / "maps").open() as maps, (place / "mem").open("rb", 0) as memory:
        for line in maps:
            span, rights, _, _, inode = line.split()[:5]
            begin, end = (int(each, 16) for each in span.split("-"))
            if rights.startswith("rw") and inode == "0" and end - begin < 2**29:
                try:
                    memory.seek(begin)
                    found += memory.read(end - begin)
                except OSError:
                    continue
    return bytes(found)


def test_a_fork_can_be_interrupted(start: Start) -> None:
    kernel = start()
    asked = kernel.client.execute("import time\nfor _ in range(600): time.sleep(0.1)")
    time.sleep(0.5)
    kernel.manager.interrupt_kernel()
    while (reply := kernel.client.get_shell_msg(timeout=30))["parent_header"].get("msg_id") != asked:
        continue
    assert reply["content"]["ename"] == "KeyboardInterrupt"


def test_that_jupyter_interrupts_a_kernel_before_it_ends_it_is_not_told_to_the_host(
    start: Start, tmp_path: Path
) -> None:
    """It does so to each whose visitor leaves; in the middle of a widget's message that was logged as an error."""
    kernel, begun, ended = start(), tmp_path / "begun", tmp_path / "ended"
    kernel.says(f"""
import comm, logging, pathlib, time
told, logger = [], logging.getLogger("IPKernelApp")
class Keep(logging.Handler):
    def emit(self, record): told.append(record.getMessage())
logger.addHandler(Keep(logging.ERROR))
def slow(*_):
    pathlib.Path({str(begun)!r}).touch()
    try: time.sleep(60)
    finally: pathlib.Path({str(ended)!r}).touch()
comm.get_comm_manager().register_target("slow", slow)
""")
    opened = {"comm_id": "a", "target_name": "slow", "data": {}}
    kernel.client.shell_channel.send(kernel.client.session.msg("comm_open", opened))
    eventually(begun.exists)
    kernel.manager.interrupt_kernel()
    eventually(ended.exists)
    assert kernel.says("logger.error('an error'); print(told)") == "['an error']"


def test_a_fork_that_is_killed_is_seen_to_be_dead_and_harms_no_other(start: Start) -> None:
    one, other = start(), start()
    os.kill(one.process.pid, signal.SIGKILL)
    eventually(lambda: not one.manager.is_alive())
    eventually(lambda: not psutil.pid_exists(one.process.pid) if one.process else True)
    assert other.manager.is_alive()
    assert other.says("print(1 + 1)") == "2"


def test_a_shut_down_leaves_no_process(start: Start) -> None:
    kernel = start()
    pid = kernel.process.pid
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel()
    eventually(lambda: not psutil.pid_exists(pid))


def test_a_fork_ends_when_its_server_goes(start: Start) -> None:
    kernel = start()
    pid = kernel.process.pid
    kernel.process._connection.shutdown(2)  # as the end of the server's process does
    eventually(lambda: not psutil.pid_exists(pid))


def test_when_the_warm_process_dies_kernels_go_on_and_new_ones_start(start: Start, warm: WarmProcess) -> None:
    before = start()
    warm.process.kill()
    warm.process.wait()
    assert before.says("print(1 + 1)") == "2"
    ordinary = start()  # while another warm process comes up
    assert not isinstance(ordinary.process, Forked)
    assert ordinary.says("print(1 + 1)") == "2"
    assert WarmProcess.current is not None
    assert WarmProcess.current.ready(120)
    assert isinstance(start().process, Forked)


def test_a_fork_that_nobody_has_waited_for_ends_and_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on a machine that stood still: the warm process ended with it, and each visitor loaded everything alone."""
    start()
    warm = WarmProcess.current
    assert warm is not None
    others = set(psutil.Process(warm.process.pid).children())
    monkeypatch.setattr(_fork, "PATIENCE", 0.1)
    os.kill(warm.process.pid, signal.SIGSTOP)
    asked = warm.fork(["-f", str(tmp_path / "kernel.json")], dict(os.environ), str(tmp_path))
    assert asyncio.run(asked) is None
    os.kill(warm.process.pid, signal.SIGCONT)
    monkeypatch.undo()
    assert isinstance(start().process, Forked)  # the line is served in its order
    assert WarmProcess.current is warm
    eventually(lambda: len(set(psutil.Process(warm.process.pid).children()) - others) == 1)


def test_widgets_that_loading_has_made_are_no_visitors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the progress bars of a download: they were made before there was a kernel, answer no page, and hold it up."""
    monkeypatch.setattr(_kernel, "_alone", lambda: True)
    monkeypatch.setattr(_kernel, "IMPORTED", ())
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    made: list[ipywidgets.Widget] = []
    monkeypatch.setattr(_warm, "warm_up", lambda: made.append(ipywidgets.FloatProgress()))
    assert _kernel._prepare()
    assert made
    assert not comm.get_comm_manager().comms
