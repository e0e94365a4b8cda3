"""What a picture's update costs in the browser, beside a bare plotly one: `python -m benchmarks.picture`.

In one page, of Voilà and then of JupyterLab, stand a chart, heat maps and a lens table of lens, and by each a plotly
`FigureWidget` of as many points. A button lets the kernel send new numbers. Timed in the page: from the message's
arrival until the frame is painted behind which nothing of the picture changes any more; and, by the processor's clock,
all that the page's main thread does for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Page, sync_playwright

from benchmarks._measure import Spent, machine, options, say, table, written
from tests.ui._browser import QUIET, chromium
from tests.ui._servers import serving, write_notebook

GOAL = 1.5
KINDS = {
    "chart": "chart, 2 lines of 13 points",
    "maps": "heat maps, 2 of 13 × 13",
    "table": "lens table, 14 × 16 cells with a word in each",
}
WHOSE = ("lens", "plotly")
PATIENCE = 120_000  # milliseconds

NOTEBOOK = """
import ipywidgets as widgets, numpy as np, plotly.graph_objects as go
from plotly.subplots import make_subplots
import lens
from lens.panels.live import Chart, HeatMap, LensTable
from lens.panels._shelf import Question, Shelf
from lens.panels.tabs.lens_table import picture

rng = np.random.default_rng(0)
lines = rng.random((2, 2, 13))
squares = rng.random((2, 2, 13, 13)).astype("f4")

def spec(turn):
    made = [{"key": key, "title": key, "values": line.tolist(), "errors": [None] * 13}
            for key, line in zip(("id", "mat"), lines[turn])]
    return {"title": "Probability, layer by layer", "note": "", "lines": made, "marker": {"x": 4},
            "x": {"label": "layer", "values": list(range(13))},
            "y": {"label": "probability", "low": 0, "high": 1, "format": "number"}}

chart, own_maps, own_table = Chart(spec=spec(0)), HeatMap(), LensTable(cast="mat")
maps_spec = {"maps": [{"key": key, "title": key} for key in ("id", "mat")], "layers": list(range(13)), "title": "r²",
             "variants": [{"key": "stream", "title": "stream", "hint": ""}], "note": ""}
shelf = Shelf()
shelf.load("demo")
texts = [f"{who} by the fire and looked at the house while the rain fell all day" for who in ("He sat", "She stood")]
answers = [shelf.answer(Question("demo", text)) for text in texts]
tokens = min(len(answer.tokens) for answer in answers)

def cut(answer):
    found = picture(answer, answer.reading)
    found["spec"] |= {"columns": found["spec"]["columns"][:tokens], "positions": list(range(tokens))}
    found |= {name: found[name][:, :, :tokens] for name in ("top", "probabilities")}
    return found | {"scores": found["scores"][:, :, :, :tokens]}

filled = [cut(answer) for answer in answers]
values = [each["scores"][0, 1] for each in filled]
words = [[[each["spec"]["vocabulary"][place] for place in row] for row in each["top"][1, :, :, 0]] for each in filled]

plain_chart = go.FigureWidget([go.Scatter(y=line) for line in lines[0]])
two = make_subplots(1, 2)
for place in (0, 1):
    two.add_trace(go.Heatmap(z=squares[0, place], zmin=0, zmax=1), 1, 1 + place)
plain_maps = go.FigureWidget(two)  # whole: traces that are added to a widget before it is shown do not reach the page
plain_table = go.FigureWidget([go.Heatmap(z=values[0], text=words[0], texttemplate="%{text}", zmin=0, zmax=1)])

def lens_chart(turn):
    chart.spec = spec(turn)

def lens_maps(turn):
    own_maps.fill(maps_spec, squares[turn][None], squares[turn][None] * 0.01, variant="stream")

def lens_table(turn):
    own_table.fill(**filled[turn], source=4, position=3)

def plotly_chart(turn):
    with plain_chart.batch_update():
        for trace, line in zip(plain_chart.data, lines[turn]):
            trace.y = line

def plotly_maps(turn):
    with plain_maps.batch_update():
        for trace, square in zip(plain_maps.data, squares[turn]):
            trace.z = square

def plotly_table(turn):
    with plain_table.batch_update():
        plain_table.data[0].z, plain_table.data[0].text = values[turn], words[turn]

def row(name, update, picture):
    state = {"turn": 0}
    if name.startswith("lens"):  # a plotly widget that is changed before it is shown may lose its traces
        update(0)
    def clicked(_):
        state["turn"] = 1 - state["turn"]
        update(state["turn"])
    button, box = widgets.Button(description=name), widgets.VBox([picture])
    button.on_click(clicked)
    button.add_class(f"go-{name}")
    box.add_class(f"box-{name}")
    return widgets.VBox([button, box])

shown = widgets.VBox([row(f"{whose}-{kind}", globals()[f"{whose}_{kind}"], picture) for whose, kind, picture in (
    ("lens", "chart", chart), ("lens", "maps", own_maps), ("lens", "table", own_table),
    ("plotly", "chart", plain_chart), ("plotly", "maps", plain_maps), ("plotly", "table", plain_table))])
shown.add_class("lens")
shown
"""

STAMP = """(() => {
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => {
        if (!window.armed) return;
        const text = typeof data === "string" ? data : new TextDecoder("latin1").decode(data);
        if (!text.includes("comm_msg") || !/"method": ?"update"/.test(text)) return;
        window.arrived = performance.now();
        window.armed = false;
      });
    }
  };
})()"""

UPDATE = """async (name) => {
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const box = document.querySelector(`.box-${name}`);
  let changed = null, going = true;
  const painted = [];
  const watch = new MutationObserver(() => { changed = performance.now(); });
  watch.observe(box, { subtree: true, childList: true, attributes: true, characterData: true });
  const after = new MessageChannel();
  after.port1.onmessage = () => { painted.push(performance.now()); if (going) requestAnimationFrame(frame); };
  const frame = () => after.port2.postMessage(0);
  window.arrived = null;
  window.armed = true;
  requestAnimationFrame(frame);
  document.querySelector(`.go-${name}`).click();
  const begin = performance.now();
  while (!(window.arrived && changed > window.arrived && performance.now() - changed > 300)) {
    if (performance.now() - begin > 10000) throw new Error(`${name} was not drawn anew`);
    await sleep(20);
  }
  going = false;
  watch.disconnect();
  return painted.find((time) => time >= changed) - window.arrived;
}"""


def main() -> None:
    asked = options(__doc__)
    say(f"n = {asked.rounds}, in turns. {machine('plotly', 'anywidget', 'jupyterlab', 'voila')}.\n")
    rows, goals = [], []
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        for where in ("Voilà", "JupyterLab"):
            with opened(browser, where, Path(made)) as page:
                kinds = [kind for kind in KINDS if all(settled(page, f"{whose}-{kind}") for whose in WHOSE)]
                names = [f"{whose}-{kind}" for kind in kinds for whose in WHOSE]
                spent, busy = measured(page, names, asked.rounds)
            if missing := KINDS.keys() - kinds:
                say(f"{where}: one of the pictures of {', '.join(missing)} took no new numbers, and is left out.\n")
            for kind in kinds:
                title = KINDS[kind]
                own, plain = spent[f"lens-{kind}"], spent[f"plotly-{kind}"]
                ratio, work = own.ratio(plain), busy[f"lens-{kind}"].ratio(busy[f"plotly-{kind}"])
                rows.append([where, title, own, plain, written(ratio), written(work)])
                goals.append([f"{where}: {title}", GOAL, written(ratio), "met" if ratio[0] <= GOAL else "**not met**"])
        browser.close()
    heads = ["page", "picture", "lens, ms", "plotly, ms", "lens ÷ plotly", "the main thread's work, lens ÷ plotly"]
    say(table(heads, rows))
    say(table(["goal, × plotly", "at most", "measured", ""], goals))


@contextmanager
def opened(browser: Browser, where: str, folder: Path) -> Iterator[Page]:
    """The notebook's page with all pictures drawn."""
    notebook = write_notebook(folder / "pictures.ipynb", NOTEBOOK)
    command, more = ("app", ["--preheat", "0"]) if where == "Voilà" else ("lab", [])
    with serving(command, notebook, folder, *more) as address:
        context = browser.new_context(viewport={"width": 1280, "height": 4200}, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        context.add_init_script(STAMP)
        page = context.new_page()
        page.goto(address, wait_until="commit")
        if where == "JupyterLab":
            page.get_by_text("| Idle").wait_for()
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_text("Run All Cells", exact=True).click()
        page.wait_for_selector(".box-lens-table .lens-table-space canvas")
        for kind in KINDS:
            page.wait_for_selector(f".box-plotly-{kind} .main-svg")
        yield page
        context.close()


def settled(page: Page, name: str) -> bool:
    """Whether a picture takes new numbers: plotly's widgets first send back what they filled in, and take none."""
    for _ in range(3):
        try:
            page.evaluate(UPDATE, name)
        except Error:
            continue
        return True
    return False


def measured(page: Page, names: list[str], rounds: int) -> tuple[dict[str, Spent], dict[str, Spent]]:
    """Seconds from message to paint, and seconds of the page's main thread, of each picture in each round."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked() -> float:
        found = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in found if each["name"] == "TaskDuration"))

    spent: dict[str, list[float]] = {name: [] for name in names}
    busy: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else reversed(names):
            before = worked()
            took = page.evaluate(UPDATE, name) / 1000
            if turn:
                spent[name].append(took)
                busy[name].append(worked() - before)
    return tuple({n: Spent(tuple(s)) for n, s in each.items()} for each in (spent, busy))  # type: ignore[return-value]


if __name__ == "__main__":
    main()
