const ROOM = { left: 44, right: 14, top: 10, bottom: 38 };
const PATTERNS = { dash: "5 4" };


/** A shape for each line, so that colour is never the only sign. */
const MARKS = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x} ${y - 1.3 * r}l${1.3 * r} ${2.2 * r}h${-2.6 * r}z`,
  (x, y, r) => `M${x} ${y - 1.4 * r}l${1.4 * r} ${1.4 * r}l${-1.4 * r} ${1.4 * r}l${-1.4 * r} ${-1.4 * r}z`,
  (x, y, r) => `M${x} ${y + 1.3 * r}l${1.3 * r} ${-2.2 * r}h${-2.6 * r}z`,
  (x, y, r) => `M${x - 1.3 * r} ${y - r / 2}h${2.6 * r}v${r}h${-2.6 * r}zM${x - r / 2} ${y - 1.3 * r}h${r}v${2.6 * r}h${-r}z`,
];
const MARKED = 12; // marks along a line that has too many points for one each

const drawMark = (order, x, y, r) => makeSvg("path", { class: "lens-chart-dot", d: MARKS[order % MARKS.length](x, y, r) });

const finite = (value) => value !== null && value !== undefined && Number.isFinite(value);

const xs = (spec, line) => line.x ?? spec.x.values;

/** Round steps for an axis from low to high. */
function stepsOf(low, high, most) {
  const wide = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(wide));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= wide * 0.999);
  const first = Math.ceil(low / step - 1e-9) * step;
  return Array.from({ length: Math.floor((high - first) / step + 1e-9) + 1 }, (_, i) => first + i * step);
}

const tidy = (value) => String(Number(value.toPrecision(6))).replace("-", "−");

function said(value, format) {
  if (!finite(value)) return "–";
  return format === "percent" ? percent(value) : value.toFixed(2).replace("-", "−");
}

function saidWithError(spec, value, error) {
  const format = spec.y.format;
  if (!finite(error) || !finite(value)) return said(value, format);
  return `${said(value, format)} ± ${format === "percent" ? (100 * error).toFixed(1) : error.toFixed(2)}`;
}

/** From numbers to pixels, within the room that the axes leave. */
function scales(spec, width, height) {
  const places = spec.lines.flatMap((line) => xs(spec, line).filter(finite));
  const [low, high] = [Math.min(...places, spec.x.low ?? Infinity), Math.max(...places, spec.x.high ?? -Infinity)];
  const values = spec.lines.flatMap((line) => line.values.filter(finite));
  const bottom = spec.y.low ?? Math.min(...values, 0);
  const top = spec.y.high ?? Math.max(...values, bottom + 1e-9) * 1.05;
  const inner = { width: width - ROOM.left - ROOM.right, height: height - ROOM.top - ROOM.bottom };
  return {
    ...{ low, high, bottom, top, inner },
    x: (value) => ROOM.left + ((value - low) / (high - low || 1)) * inner.width,
    y: (value) => ROOM.top + (1 - (Math.min(Math.max(value, bottom), top) - bottom) / (top - bottom || 1)) * inner.height,
  };
}

function axes(spec, scale) {
  const nodes = [];
  const end = ROOM.left + scale.inner.width;
  for (const value of stepsOf(scale.bottom, scale.top, 5)) {
    const y = scale.y(value);
    nodes.push(makeSvg("line", { class: "lens-chart-grid", x1: ROOM.left, x2: end, y1: y, y2: y }));
    const text = spec.y.format === "percent" ? `${tidy(100 * value)}` : tidy(value);
    nodes.push(makeSvg("text", { class: "lens-chart-tick", x: ROOM.left - 8, y: y + 4, "text-anchor": "end" }, text));
  }
  const floor = ROOM.top + scale.inner.height;
  for (const value of stepsOf(scale.low, scale.high, Math.min(12, scale.inner.width / 36))) {
    nodes.push(makeSvg("text", { class: "lens-chart-tick", x: scale.x(value), y: floor + 16, "text-anchor": "middle" }, tidy(value)));
  }
  const middle = ROOM.left + scale.inner.width / 2;
  nodes.push(makeSvg("text", { class: "lens-chart-label", x: middle, y: floor + 33, "text-anchor": "middle" }, spec.x.label));
  return nodes;
}

/** The points of a line that are there, cut where numbers are missing. */
function runs(spec, line) {
  const found = [[]];
  xs(spec, line).forEach((x, i) => {
    if (finite(x) && finite(line.values[i])) found.at(-1).push([x, line.values[i], line.errors?.[i]]);
    else if (found.at(-1).length) found.push([]);
  });
  return found.filter((run) => run.length);
}

function drawLine(spec, line, order, scale) {
  const group = makeSvg("g", { class: "lens-chart-line", "data-key": line.key });
  if (line.style === "points") {
    for (const run of runs(spec, line)) group.append(...run.flatMap((point) => drawPoint(point, order, scale)));
    return group;
  }
  for (const run of runs(spec, line)) {
    const banded = run.filter(([, , error]) => finite(error));
    if (banded.length > 1) {
      const edge = (sign) => banded.map(([x, value, error]) => `${scale.x(x)},${scale.y(value + sign * 2 * error)}`);
      group.append(makeSvg("polygon", { class: "lens-chart-band", points: [...edge(1), ...edge(-1).reverse()].join(" ") }));
    }
    const points = run.map(([x, value]) => `${scale.x(x)},${scale.y(value)}`).join(" ");
    group.append(makeSvg("polyline", { class: "lens-chart-stroke", points, "stroke-dasharray": PATTERNS[line.style] }));
    const every = run.length < 30 ? 1 : Math.ceil(run.length / MARKED);
    run.forEach(([x, value], i) => i % every || group.append(drawMark(order, scale.x(x), scale.y(value), 2.5)));
  }
  return group;
}

/** A mark, and ± 2 errors through it. */
function drawPoint([x, value, error], order, scale) {
  const at = scale.x(x);
  const dot = drawMark(order, at, scale.y(value), 3);
  if (!finite(error)) return [dot];
  const ends = { x1: at, x2: at, y1: scale.y(value - 2 * error), y2: scale.y(value + 2 * error) };
  return [makeSvg("line", { class: "lens-chart-whisker", ...ends }), dot];
}

function guides(spec, scale) {
  return (spec.guides ?? []).map((guide) => {
    const y = scale.y(guide.y);
    const end = ROOM.left + scale.inner.width;
    const line = makeSvg("line", { class: "lens-chart-guide", x1: ROOM.left, x2: end, y1: y, y2: y });
    return makeSvg("g", {}, line, makeSvg("text", { class: "lens-chart-tick", x: ROOM.left + 4, y: y - 4 }, guide.title));
  });
}

// ---------------------------------------------------------------- to take along

const inWords = (spec) => `${spec.y.label} by ${spec.x.label}: ${spec.lines.map((line) => line.title).join(", ")}. ${spec.note ?? ""}`.trim();

/** One point of a line a row. */
function numbersOf(spec) {
  const names = spec.x.names;
  const columns = ["line", spec.x.label, ...(names ? ["name"] : []), spec.y.label, "standard error"];
  const rows = spec.lines.flatMap((line) =>
    xs(spec, line).map((x, i) => [line.title, x, ...(names ? [names[spec.x.values.indexOf(x)] ?? ""] : []), line.values[i], line.errors?.[i]]),
  );
  return { columns, rows };
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-chart lens-chart-empty");
  const title = make("div", { class: "lens-panel-title", role: "heading", "aria-level": 2 });
  const legend = make("div", { class: "lens-chart-legend" });
  const svg = makeSvg("svg", { class: "lens-chart-svg lens-picture", role: "img", tabindex: 0, ...OWN_KEYS });
  const readout = make("div", { class: "lens-readout", "aria-live": "polite", "data-testid": "readout" });
  const note = make("div", { class: "lens-note" });
  const take = takeAway(life, model, root, ofSpec(model, render, "numbers of every line", numbersOf, inWords));
  root.append(make("div", { class: "lens-panel-head" }, title, legend, take.node), svg, readout, note);
  let at = null; // where the rule stands, as a value of x
  let scale = null;

  const ready = (spec) => spec.lines?.some((line) => line.values.some(finite));

  function show() {
    if (!root.clientWidth) return; // drawn when it has a size
    const spec = model.get("spec");
    setText(title, spec.title ?? "");
    setText(note, spec.note ?? "");
    root.classList.toggle("lens-chart-empty", !ready(spec));
    take.hide(!ready(spec));
    showBusy(root, model.get("busy"));
    if (!ready(spec)) {
      legend.replaceChildren();
      svg.replaceChildren();
      setText(readout, "");
      return;
    }
    const [width, height] = [svg.clientWidth || 480, svg.clientHeight || 260];
    scale = scales(spec, width, height);
    setAttributes(svg, { viewBox: `0 0 ${width} ${height}`, "aria-label": `${spec.title}: ${spec.y.label} by ${spec.x.label}` });
    const rule = at ?? spec.marker?.x ?? null;
    const shown = rule === null ? [] : [makeSvg("line", { class: "lens-chart-rule", x1: scale.x(rule), x2: scale.x(rule), y1: ROOM.top, y2: ROOM.top + scale.inner.height })];
    svg.replaceChildren(...axes(spec, scale), ...guides(spec, scale), ...shown, ...spec.lines.map((line, order) => drawLine(spec, line, order, scale)));
    const unit = make("span", { class: "lens-chart-unit" }, spec.y.format === "percent" ? `${spec.y.label}, %` : spec.y.label);
    legend.replaceChildren(unit, ...spec.lines.map(legendEntry));
    readout.replaceChildren(...(rule === null ? [] : sayAt(spec, rule)));
  }

  function legendEntry(line, order) {
    const stroke = { class: "lens-chart-stroke", x1: 1, x2: 21, y1: 5, y2: 5, "stroke-dasharray": PATTERNS[line.style] };
    const drawn = [...(line.style === "points" ? [] : [makeSvg("line", stroke)]), drawMark(order, 11, 5, 3)];
    const sample = makeSvg("svg", { width: 22, height: 10, "aria-hidden": "true" }, ...drawn);
    return make("span", { class: "lens-chart-key", "data-key": line.key }, sample, line.title);
  }

  function sayAt(spec, x) {
    const parts = spec.lines.flatMap((line) => {
      const place = xs(spec, line).findIndex((value) => value === x);
      return place < 0 || !finite(line.values[place]) ? [] : [`${line.title} ${saidWithError(spec, line.values[place], line.errors?.[place])}`];
    });
    if (!parts.length) return [];
    const where = `${spec.x.label} ${Number.isInteger(x) ? x : x.toFixed(2)}:  `;
    return [where, ...parts.flatMap((part, i) => [i ? "   " : "", make("span", { class: "lens-unbroken" }, part)])];
  }

  /** The x of the data that is nearest to a place on the screen. */
  function nearest(clientX) {
    const spec = model.get("spec");
    const box = svg.getBoundingClientRect();
    const places = [...new Set(spec.lines.flatMap((line) => xs(spec, line).filter(finite)))];
    const distance = (x) => Math.abs(scale.x(x) - (clientX - box.left));
    return places.reduce((best, x) => (best === null || distance(x) < distance(best) ? x : best), null);
  }

  const schedule = onceAFrame(life, show);
  life.listen(svg, "pointermove", (event) => {
    if (!ready(model.get("spec"))) return;
    at = nearest(event.clientX);
    schedule();
  });
  life.listen(svg, "pointerleave", () => {
    at = null;
    schedule();
  });
  life.listen(svg, "click", (event) => {
    if (ready(model.get("spec"))) model.send({ kind: "pick", x: nearest(event.clientX) });
  });
  life.listen(svg, "keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const spec = model.get("spec");
    if (!step || !ready(spec)) return;
    event.preventDefault();
    const places = [...new Set(spec.lines.flatMap((line) => xs(spec, line).filter(finite)))].sort((a, b) => a - b);
    const from = places.indexOf(at ?? spec.marker?.x ?? places[0]);
    at = places[Math.min(Math.max(from + step, 0), places.length - 1)];
    schedule();
  });
  life.watch(model, ["spec", "busy"], schedule);
  onResize(life, root, schedule);
  followTheme(life);
  show();
  return life.end;
}

export default { initialize, render };
