"""What the server and its page promise, whatever the notebook: nothing leaves, nothing leaks, nothing breaks bare."""

from __future__ import annotations

import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Page, Route, expect

from tests.ui._servers import serving, write_notebook
from tests.ui.conftest import OpenPage, until_ready

SLIDER = """
import ipywidgets as widgets
slider = widgets.IntSlider(value=3, max=9, description="layer")
label = widgets.Label("layer 3")
slider.observe(lambda change: setattr(label, "value", f"layer {change.new}"), "value")
widgets.VBox([slider, label])
"""
BEHIND = """
import sys, time
from IPython.display import HTML, display
sys.stdout.flush_timeout = sys.stderr.flush_timeout = 0  # else the kernel itself waits before it says that it is done
get_ipython().kernel.iopub_thread.schedule(lambda: time.sleep(6))
display(HTML("said late"))
"""
WAITS = """
import pathlib, time
while not pathlib.Path("go").exists():
    time.sleep(0.1)
"""
SLEEPS = """
import pathlib, time
answer = widgets.Widget._handle_control_comm_msg
def late(message):
    while not pathlib.Path("go").exists():
        time.sleep(0.1)
    answer(message)
widgets.Widget._handle_control_comm_msg = late
widgets.VBox([slider, label])
"""
SPEAKS_EARLY = """
import pathlib
import ipywidgets as widgets
label = widgets.Label("said before")
def speak():
    if not pathlib.Path("go").exists():
        return get_ipython().kernel.io_loop.call_later(0.05, speak)
    label.value = "said meanwhile"
    pathlib.Path("spoken").touch()
speak()
label
"""
NOT_TOGETHER = "import comm; comm.get_comm_manager().targets.pop('jupyter.widget.control')\n"
BREAKS = """
import ipywidgets as widgets
button = widgets.Button(description="break")
button.on_click(lambda _: {}["missing"])
button
"""
LIGHT = ("--preheat", "0", "--no-fork")  # soon up, for one visitor


@pytest.fixture(scope="module")
def slider_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A notebook that is quick to start."""
    folder = tmp_path_factory.mktemp("slider")
    with serving("app", write_notebook(folder / "slider.ipynb", SLIDER), folder, "--preheat", "0") as address:
        yield address


@pytest.fixture
def slider_page(slider_address: str, open_page: OpenPage) -> OpenPage:
    return lambda **options: until_ready(open_page(slider_address, **options))


def hosts(page: Page) -> set[str | None]:
    """The hosts that a page has asked for anything."""
    asked: list[str] = page.asked  # type: ignore[attr-defined]
    return {urlsplit(address).hostname for address in asked if not address.startswith(("data:", "blob:"))}


def kernel_of(page: Page) -> str:
    """The name of the kernel behind a page."""
    name: str = page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    return name


def kernels() -> dict[int, str]:
    """The kernels that these tests have started, by process: their command lines and the names of their sockets.

    One that was forked shows by its sockets only.
    """
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            sockets = [str(each.laddr) for each in process.net_connections("unix")]
            found[process.pid] = " ".join([*process.cmdline(), *sockets])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return {process: said for process, said in found.items() if re.search(r"/kernel-\S+(\.json|-ipc-)", said)}


def kill(kernel: str) -> None:
    """End a kernel as a lack of memory would."""
    psutil.Process(next(process for process, line in kernels().items() if kernel in line)).kill()


def status(address: str, method: str = "GET", **headers: str) -> int:
    """What the server answers to a request that no browser would send for us."""
    request = urllib.request.Request(address, method=method, headers=headers)  # noqa: S310 - our own address
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            code: int = answer.status
    except urllib.error.HTTPError as error:
        with error:
            code = error.code
    return code


def read(address: str) -> str:
    """What lies at an address."""
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - our own address
        said: str = answer.read().decode()
    return said


def eventually(page: Page, true: Callable[[], bool]) -> None:
    """Wait until something that no page shows has happened."""
    for _ in range(300):
        if true():
            return
        page.wait_for_timeout(100)
    pytest.fail("it did not happen within 30 seconds")


# ---------------------------------------------------------------- nothing leaves this machine


def test_voila_asks_no_other_host(voila_page: OpenPage) -> None:
    page = voila_page()
    assert hosts(page) == {"127.0.0.1"}
    assert not page.failures  # type: ignore[attr-defined]


def test_lab_asks_no_other_host(lab_page: OpenPage) -> None:
    page = lab_page()
    assert hosts(page) == {"127.0.0.1"}


def test_under_another_jupyter_server_the_notebook_brings_our_page(tmp_path: Path, open_page: OpenPage) -> None:
    """As on Binder and JupyterHub, where Voilà runs inside a server that is not ours."""
    notebook = write_notebook(tmp_path / "book.ipynb", BEHIND, SLIDER, voila={"template": "lens"})
    with serving("lab", notebook, tmp_path) as address:
        page = until_ready(open_page(address.replace("/lab/tree/", "/voila/render/")))
        expect(page.get_by_text("layer 3")).to_be_visible()
        expect(page.get_by_text("said late")).to_be_visible()
        assert page.title() == "lens"
        assert hosts(page) == {"127.0.0.1"}
        kill(kernel_of(page))  # such a server starts another under the same name
        expect(page.get_by_text("This page's session has ended")).to_be_visible()


def test_a_question_to_another_host_would_be_noticed(open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.evaluate("fetch('http://elsewhere.invalid/').catch(() => 0)")
    assert "elsewhere.invalid" in hosts(page)


def test_the_browser_itself_refuses_another_host(slider_page: OpenPage, slider_address: str) -> None:
    page = slider_page()
    violated = "new Promise((tell) => addEventListener('securitypolicyviolation', (event) => tell(event.blockedURI)))"
    page.evaluate(f"window.blocked = {violated}; fetch('http://elsewhere.invalid/').catch(() => 0)")
    assert page.evaluate("window.blocked").startswith("http://elsewhere.invalid")
    assert page.evaluate("fetch(location).then((answer) => answer.status)") == 200  # but not its own


# ---------------------------------------------------------------- the page


def test_the_skeleton_stands_until_the_widgets_do(tmp_path: Path, open_page: OpenPage) -> None:
    notebook = write_notebook(tmp_path / "slow.ipynb", WAITS, SLIDER)
    with serving("app", notebook, tmp_path, *LIGHT) as address:
        page = open_page(address)
        expect(page.locator("#page-skeleton")).to_be_visible()
        assert page.title() == "lens"
        assert page.locator("#page-skeleton").inner_text().startswith("lens is starting")
        expect(page.locator("#page-skeleton .columns > *")).to_have_count(3)
        (tmp_path / "go").touch()
        until_ready(page)
        expect(page.locator("#page-skeleton")).to_be_hidden()
        expect(page.get_by_text("layer 3")).to_be_visible()


@pytest.mark.parametrize(("dark", "ground"), [(True, "rgb(17, 17, 17)"), (False, "rgb(255, 255, 255)")])
def test_the_page_follows_light_and_dark(dark: bool, ground: str, slider_page: OpenPage) -> None:
    page = slider_page(dark=dark)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    assert page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()") in (
        ("#111111", "#111") if dark else ("white", "#fff", "#ffffff")
    )
    assert page.evaluate("document.body.dataset.jpThemeLight") == str(not dark).lower()
    page.emulate_media(color_scheme="light" if dark else "dark")
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str(dark).lower())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground


@pytest.mark.parametrize("width", [400, 1280, 1920])
def test_the_page_fits_the_window(width: int, voila_page: OpenPage) -> None:
    page = voila_page(width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    box = page.locator("#rendered_cells").bounding_box()
    assert box is not None
    assert box["width"] <= 1200
    assert box["x"] == pytest.approx((width - box["width"]) / 2, abs=1)


def test_visitors_do_not_see_each_other(slider_page: OpenPage) -> None:
    one, other = slider_page(), slider_page()
    assert kernel_of(one) != kernel_of(other)
    one.locator(".noUi-handle").press("ArrowRight")
    expect(one.get_by_text("layer 4")).to_be_visible()
    other.locator(".noUi-handle").press("ArrowLeft")
    expect(other.get_by_text("layer 2")).to_be_visible()
    expect(one.get_by_text("layer 4")).to_be_visible()


# ---------------------------------------------------------------- when something ends


def test_a_cell_that_fails_is_answered_in_words(tmp_path: Path, open_page: OpenPage) -> None:
    notebook = write_notebook(tmp_path / "broken.ipynb", "1 / 0", SLIDER)
    with serving("app", notebook, tmp_path, *LIGHT) as address:
        page = open_page(address)
        expect(page.locator("body:not(.page-waiting)").get_by_text("This page could not be prepared.")).to_be_visible()
        expect(page.get_by_role("button", name="Start again")).to_be_visible()
        assert "ZeroDivisionError" not in page.content()
        assert "Traceback" not in page.content()
        assert "ZeroDivisionError" in (tmp_path / "app.log").read_text(encoding="utf-8")


def test_what_a_busy_machine_passes_on_late_is_shown(tmp_path: Path, open_page: OpenPage) -> None:
    """The executor itself gives a cell that has ended four seconds for what it shows, and then shows it empty."""
    with serving("app", write_notebook(tmp_path / "late.ipynb", BEHIND, SLIDER), tmp_path, *LIGHT) as address:
        expect(until_ready(open_page(address)).get_by_text("said late")).to_be_visible()


def test_what_is_never_passed_on_is_said_and_no_empty_page(tmp_path: Path, open_page: OpenPage) -> None:
    impatient = "import lens.app._serve; lens.app._serve.SLOWEST = 5"
    notebook = write_notebook(tmp_path / "late.ipynb", BEHIND.replace("(6)", "(60)"), SLIDER)
    with serving("app", notebook, tmp_path, *LIGHT, first=impatient) as address:
        page = open_page(address)
        expect(page.locator("body:not(.page-waiting)").get_by_text("This page could not be prepared.")).to_be_visible()
        assert "Timeout waiting for IOPub output" in (tmp_path / "app.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("preheat", ["0", "1"])
def test_a_kernel_that_ends_as_it_starts_is_said(preheat: str, tmp_path: Path, open_page: OpenPage) -> None:
    """As where memory is short; Voilà's page says for ever that it is starting."""
    mortal = "import lens.app._serve as s; s.KERNEL = ('-c', 'import time; time.sleep(2)')"
    notebook = write_notebook(tmp_path / "slider.ipynb", SLIDER)
    with serving("app", notebook, tmp_path, "--no-fork", "--preheat", preheat, first=mortal) as address:
        page = open_page(address)
        expect(page.locator("body:not(.page-waiting)").get_by_text("This page could not be prepared.")).to_be_visible()
        assert "Traceback" not in page.content()
        eventually(page, lambda: '"visitors": 0' in read(f"{address}health"))
        assert "Kernel died before replying" in (tmp_path / "app.log").read_text(encoding="utf-8")


def test_a_page_kept_ready_gives_signs_of_life_too(tmp_path: Path) -> None:
    """Proxies give up on one that is silent, and the page itself says that nothing comes."""
    notebook = write_notebook(tmp_path / "slow.ipynb", f"import pathlib; pathlib.Path('begun').touch()\n{WAITS}")
    with serving("app", notebook, tmp_path, "--no-fork") as address:
        while not (tmp_path / "begun").exists():
            time.sleep(0.1)
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - our own address
            while b"<script>window.voila_heartbeat()</script>" not in answer.readline():
                continue
        (tmp_path / "go").touch()


def test_a_page_whose_widgets_do_not_come_says_so_until_they_do(tmp_path: Path, open_page: OpenPage) -> None:
    """The page asks its kernel for them, which sleeps; it would stand there without a word."""
    notebook = write_notebook(tmp_path / "sleepy.ipynb", f"{SLIDER}\n{SLEEPS}")
    with serving("app", notebook, tmp_path, *LIGHT) as address:
        page = open_page(address)
        expect(page.get_by_text("Loading widget...")).to_be_attached()
        page.evaluate("const now = Date.now; Date.now = () => now() + 40_000")  # so that no one need wait
        notice = page.get_by_text("lens takes long to show itself")
        expect(notice).to_be_visible()
        (tmp_path / "go").touch()
        expect(page.get_by_text("layer 3")).to_be_visible()
        expect(notice).to_be_hidden()


@pytest.mark.parametrize("stumble", ["no answer", "a proxy's answer"])
def test_one_question_that_fails_costs_no_widgets(stumble: str, slider_address: str, open_page: OpenPage) -> None:
    """Jupyter asks once which kernel the page has; the page showed the Python text of its widgets, for good."""
    page, asked = open_page("about:blank"), []

    def stumbles(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 1:
            route.continue_()
        elif stumble == "no answer":
            route.abort()
        else:
            route.fulfill(status=504, body="Gateway Timeout")

    page.route(re.compile(r"/api/kernels/[^/]+\?"), stumbles)
    page.goto(slider_address, wait_until="commit")
    expect(page.get_by_text("layer 3")).to_be_visible()
    assert "VBox(" not in page.content()
    assert len(asked) > 1


@pytest.mark.parametrize("before", ["", NOT_TOGETHER], ids=["asked together", "asked one by one"])
def test_what_a_kernel_says_while_its_widgets_are_made_is_not_lost(
    before: str, tmp_path: Path, open_page: OpenPage
) -> None:
    """A page knows of its widgets before it has fetched their classes, and dropped what came in between."""
    notebook = write_notebook(tmp_path / "early.ipynb", before + SPEAKS_EARLY)
    with serving("app", notebook, tmp_path, *LIGHT) as address:
        page, held = open_page("about:blank"), []

        def hold(route: Route) -> None:
            if any(asked.startswith("ws:") for asked in page.asked):  # type: ignore[attr-defined]
                (tmp_path / "go").touch()
                held.append(route)
            else:
                route.continue_()

        page.route("**/@jupyter-widgets/**", hold)
        page.goto(address, wait_until="commit")
        eventually(page, (tmp_path / "spoken").exists)
        page.wait_for_timeout(500)  # until it has come to the page
        for route in held:
            route.continue_()
        expect(page.get_by_text("said meanwhile")).to_be_visible()


@pytest.mark.parametrize("options", [(), ("--no-fork",)], ids=["forked", "alone"])
def test_a_click_that_fails_is_for_the_host_to_read(
    options: tuple[str, ...], tmp_path: Path, open_page: OpenPage
) -> None:
    notebook = write_notebook(tmp_path / "click.ipynb", BREAKS)
    with serving("app", notebook, tmp_path, "--preheat", "0", *options) as address:
        page = until_ready(open_page(address))
        page.get_by_role("button", name="break").click()
        eventually(page, lambda: "KeyError: 'missing'" in (tmp_path / "app.log").read_text(encoding="utf-8"))
        assert "missing" not in page.content()


def test_a_page_that_breaks_off_says_so(tmp_path: Path, open_page: OpenPage) -> None:
    notebook = write_notebook(tmp_path / "slow.ipynb", WAITS)
    with serving("app", notebook, tmp_path, *LIGHT) as address:
        page = open_page(address)
        expect(page.locator("#page-skeleton")).to_be_visible()
        expect(page.locator("#page-notice")).to_be_hidden()
    page.evaluate("const now = Date.now; Date.now = () => now() + 40_000")  # so that no one need wait
    expect(page.get_by_text("Nothing has come from lens for a while.")).to_be_visible()


def test_a_kernel_that_dies_is_said_and_one_click_starts_again(slider_page: OpenPage) -> None:
    page = slider_page()
    dying = kernel_of(page)
    kill(dying)
    expect(page.get_by_text("This page's session has ended")).to_be_visible()
    with page.expect_navigation():  # the page that is ready now is the old one
        page.get_by_role("button", name="Start again").click()
    until_ready(page)
    assert kernel_of(page) != dying
    expect(page.locator("#page-notice")).to_be_hidden()


def test_a_server_that_stops_takes_its_kernels_along(tmp_path: Path, open_page: OpenPage) -> None:
    notebook = write_notebook(tmp_path / "slider.ipynb", SLIDER)
    others = set(kernels())
    with serving("app", notebook, tmp_path, "--no-fork") as address:
        page = until_ready(open_page(address))
        eventually(page, lambda: len(set(kernels()) - others) == 2)  # also the one kept ready for the next visitor
        running = set(kernels()) - others
    expect(page.get_by_text("lens does not answer")).to_be_visible()
    assert not [process for process in running if psutil.pid_exists(process)]
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_text("Still no answer.")).to_be_visible()


@pytest.mark.parametrize("leave", ["go elsewhere", "close"])
def test_leaving_frees_the_kernel(leave: str, slider_page: OpenPage, open_page: OpenPage, slider_address: str) -> None:
    page, clock = slider_page(), open_page("about:blank")
    kernel = f"{slider_address}api/kernels/{kernel_of(page)}"
    assert status(kernel) == 200
    page.goto("about:blank") if leave == "go elsewhere" else page.close()
    eventually(clock, lambda: status(kernel) == 404)


def test_visitors_who_vanish_leave_nothing_open(
    slider_page: OpenPage, open_page: OpenPage, slider_address: str
) -> None:
    """Jupyter kept four sockets of each, and ZeroMQ opens no more than 1,023: after 257 visitors there was no page."""
    clock, port = open_page("about:blank"), str(urlsplit(slider_address).port)
    server = next(each for each in psutil.Process().children() if port in each.cmdline())
    counts = []
    for _ in range(4):
        page = slider_page()
        kernel = f"{slider_address}api/kernels/{kernel_of(page)}"
        page.context.close()  # as a browser that is ended: it says that it leaves, and hangs up before it is answered
        eventually(clock, lambda: status(kernel) == 404)  # noqa: B023 - asked at once
        counts.append(server.num_fds())
    assert counts[-1] - counts[0] < len(counts), counts


# ---------------------------------------------------------------- strangers


def test_another_site_can_stop_nothing(slider_page: OpenPage, slider_address: str) -> None:
    kernel = kernel_of(slider_page())
    stranger = {"Origin": "http://elsewhere.invalid"}
    assert status(f"{slider_address}voila/api/shutdown/{kernel}", "POST", **stranger) == 404
    assert status(f"{slider_address}api/kernels/{kernel}", "DELETE", **stranger) == 404
    assert status(f"{slider_address}api/kernels/{kernel}") == 200


def test_the_server_answers_to_its_own_name_only(slider_address: str) -> None:
    assert status(slider_address) == 200
    assert status(slider_address, Host="elsewhere.invalid") == 403


@pytest.mark.parametrize("path", ["api/kernels", "api/contents", "voila/files/slider.ipynb", "voila/tree", "terminals"])
def test_there_is_nothing_but_the_page(path: str, slider_address: str) -> None:
    assert status(slider_address + path) in (403, 404)


@pytest.mark.parametrize("options", [(), ("--no-fork",)], ids=["forked", "alone"])
def test_a_host_without_a_home_serves_all_the_same(options: tuple[str, ...], tmp_path: Path) -> None:
    """As in a container that runs as some number, on a disk that is not to be written to."""
    homeless = """
import os
for name in [name for name in os.environ if name.startswith(("JUPYTER", "IPYTHON", "XDG_"))]:
    del os.environ[name]
os.environ["HOME"] = "/proc/nowhere"
"""
    notebook = write_notebook(tmp_path / "slider.ipynb", SLIDER)
    with (
        serving("app", notebook, tmp_path, "--preheat", "0", *options, first=homeless) as address,
        urllib.request.urlopen(address, timeout=100) as answer,  # noqa: S310 - our own
    ):
        assert "jp-OutputArea-output" in answer.read().decode()


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "slider.ipynb", SLIDER)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving("app", notebook, tmp_path, *LIGHT, "--port", str(port)) as address:
            serves = urlsplit(address).port
    assert f"Port {port} is taken, so {serves} serves." in (tmp_path / "app.log").read_text(encoding="utf-8")


def test_another_site_cannot_frame_the_page(slider_address: str, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.set_content(f'<iframe src="{slider_address}"></iframe>')
    eventually(page, lambda: page.frames[1].url.startswith("chrome-error:"))
