const SIZE = { most: 380, least: 180, left: 34, bottom: 34, top: 4 };

const POINT = "Point at a cell, or walk with the arrow keys, to read it.";

const layersOf = (spec) => spec.layers ?? [];

/** Which numbers are shown: (M, S, T) float32 of the chosen variant. */
function planes(model) {
  const spec = model.get("spec");
  const count = layersOf(spec).length;
  const read = (name) => new Float32Array(bytes(model.get(name)));
  const variants = spec.variants ?? [];
  const place = Math.max(0, variants.findIndex((variant) => variant.key === model.get("variant")));
  const size = (spec.maps ?? []).length * count * count;
  const part = (numbers) => numbers.subarray(place * size, (place + 1) * size);
  return { spec, count, values: part(read("values")), errors: part(read("errors")) };
}

/** A copy that begins at a multiple of four, as a view of floats must. */
function bytes(view) {
  if (!view) return new ArrayBuffer(0);
  return view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
}

const rangeOf = (spec) => spec.range ?? [0, 1];

const number = (value) => (Number.isFinite(value) ? value.toFixed(3).replace("-", "−") : "not fitted");

const tick = (value) => value.toFixed(Math.abs(value) < 10 ? 2 : 0).replace(/^-(?=0\.00$)/, "").replace("-", "−");

function reading(value, error) {
  if (!Number.isFinite(error) || !Number.isFinite(value)) return number(value);
  return `${number(value)} ± ${error > 0 && error < 0.0005 ? "<0.001" : error.toFixed(3)}`; // small, but never nothing
}

/** Layers that get a number beside them: as many as stay legible. */
function ticks(count, side) {
  const step = Math.max(1, Math.ceil(20 / side));
  const round = [1, 2, 4, 5, 10, 12, 20, 24].find((value) => value >= step) ?? step;
  return Array.from({ length: Math.ceil(count / round) }, (_, i) => i * round);
}

function paint(canvas, data, place, palette, state) {
  const width = canvas.clientWidth;
  const height = width - SIZE.left + SIZE.bottom + SIZE.top;
  const ratio = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  canvas.lensPaint = (onto) => paintWith(onto, width, data, place, palette, state);
  canvas.lensPaint(pen);
}

function paintWith(pen, width, data, place, palette, state) {
  const { spec, count, values } = data;
  const side = (width - SIZE.left) / count;
  const gap = side > 8 ? 1 : 0;
  const toFill = shader(palette.ramps.r2);
  const [low, high] = rangeOf(spec);
  for (let s = 0; s < count; s += 1) {
    for (let t = spec.square ? 0 : s; t < count; t += 1) {
      const value = (values[(place * count + s) * count + t] - low) / (high - low);
      const [x, y] = [SIZE.left + t * side, SIZE.top + s * side];
      const style = toFill(value);
      pen.fillStyle = style ? style.fill : palette.wash;
      pen.fillRect(x, y, side - gap, side - gap);
    }
  }
  pen.fillStyle = palette.soft;
  pen.font = `11px ${palette.font}`;
  for (const layer of ticks(count, side)) {
    const at = (layer + 0.5) * side;
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    pen.fillText(String(spec.layers[layer]), SIZE.left + at, SIZE.top + count * side + 14);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.fillText(String(spec.layers[layer]), SIZE.left - 6, SIZE.top + at);
  }
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  pen.fillText(spec.x ?? "target layer", SIZE.left + (count * side) / 2, SIZE.top + count * side + 30);
  pen.save();
  pen.translate(9, SIZE.top + (count * side) / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(spec.y ?? "source layer", 0, 0);
  pen.restore();
  mark(pen, state.chosen, side, palette.ink, 2);
  if (state.hovered) mark(pen, state.hovered, side, palette.ink, 1);
}

function mark(pen, cell, side, colour, width) {
  const [s, t] = cell;
  if (s < 0 || t < 0) return;
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.strokeRect(SIZE.left + t * side - 0.5, SIZE.top + s * side - 0.5, side, side);
}

// ---------------------------------------------------------------- to take along

const axesOf = (spec) => [spec.y ?? "source layer", spec.x ?? "target layer"];

function inWords(model) {
  const { spec } = planes(model);
  const [rows, columns] = axesOf(spec);
  const variant = spec.variants?.find((each) => each.key === model.get("variant"))?.title;
  const maps = spec.maps.map((map) => map.title).filter(Boolean).join(" and ");
  return `Heat map${maps ? ` of ${maps}` : ""}, ${rows} by ${columns}${variant ? `: ${variant}` : ""}. ${spec.note ?? ""}`.trim();
}

/** One cell a row, of every map and variant. */
function numbersOf(model) {
  const { spec, count } = planes(model);
  const [values, errors] = ["values", "errors"].map((name) => new Float32Array(bytes(model.get(name))));
  const [source, target] = axesOf(spec);
  const columns = ["variant", "map", source, source === target ? `other ${target}` : target, "value", "standard error"];
  const rows = spec.variants.flatMap((variant, v) =>
    spec.maps.flatMap((map, m) =>
      spec.layers.flatMap((from, s) =>
        spec.layers.slice(spec.square ? 0 : s).map((to, i) => {
          const at = ((v * spec.maps.length + m) * count + s) * count + (spec.square ? i : s + i);
          return [variant.key, map.title, from, to, values[at], errors[at]];
        }),
      ),
    ),
  );
  return { columns, rows };
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-heatmap");
  const title = make("div", { class: "lens-panel-title", role: "heading", "aria-level": 2 });
  const choose = segmented(life, "Which r²", (value) => {
    model.set("variant", value);
    model.save_changes();
  });
  const row = make("div", { class: "lens-heatmap-row lens-picture", role: "application", tabindex: 0, ...OWN_KEYS });
  row.setAttribute("aria-label", "Heat maps: arrow keys move, Enter sets source and target layer");
  const bar = make("div", { class: "lens-heatmap-bar", "aria-hidden": "true" });
  const readout = make("div", { class: "lens-readout", "aria-live": "polite", "data-testid": "readout" });
  const meaning = make("div", { class: "lens-note" });
  const note = make("div", { class: "lens-note" });
  const side = make("div", { class: "lens-heatmap-side" }, make("div", {}, bar, readout), make("div", {}, meaning, note));
  const take = takeAway(life, model, root, {
    draw: render,
    title: () => model.get("spec").title ?? "",
    words: () => inWords(model),
    traits: ["spec", "values", "errors", "variant", "source", "target"],
    tables: () => [{ hint: "every pair, every variant", ...numbersOf(model) }],
  });
  root.append(make("div", { class: "lens-panel-head" }, title, choose.root, take.node), make("div", { class: "lens-heatmap-body" }, row, side));
  let hovered = null;

  const chosen = () => [model.get("source"), model.get("target")];

  function show() {
    if (!root.clientWidth) return; // not on the page yet, or in a tab that nobody sees: drawn when it has a size
    const data = planes(model);
    const { spec } = data;
    const palette = readPalette(root);
    setText(title, spec.title ?? "");
    setText(note, spec.note ?? "");
    const variants = (spec.variants ?? []).map((each) => ({ value: each.key, label: each.title, title: each.hint }));
    choose.show(variants, model.get("variant"));
    choose.root.hidden = variants.length < 2;
    setText(meaning, spec.variants?.find((each) => each.key === model.get("variant"))?.hint ?? "");
    const maps = spec.maps ?? [];
    row.style.setProperty("--lens-maps", Math.max(1, maps.length));
    while (row.children.length > maps.length) row.lastChild.remove();
    while (row.children.length < maps.length) {
      row.append(make("figure", {}, make("figcaption"), make("canvas", { "aria-hidden": "true" })));
    }
    maps.forEach((map, place) => {
      const [caption, canvas] = row.children[place].children;
      setText(caption, map.title);
      caption.hidden = maps.length < 2; // one map is named by its title
      setAttributes(row.children[place], { "data-map": map.key });
      caption.className = `lens-heatmap-name lens-key-${map.key}`;
      if (data.count) paint(canvas, data, place, palette, { chosen: chosen(), hovered });
    });
    bar.style.setProperty("--lens-gradient", cssGradient(palette.ramps.r2));
    const [low, high] = rangeOf(spec);
    const ends = spec.range ? [tick(low), tick(high)] : ["≤0.0", "1.0"];
    bar.replaceChildren(make("span", {}, ends[0]), make("i"), make("span", {}, ends[1]));
    bar.hidden = readout.hidden = !data.count;
    take.hide(!data.count);
    readout.replaceChildren(...say(data, hovered ?? chosen()));
    showBusy(root, model.get("busy"));
  }

  function say({ spec, count, values, errors }, [s, t]) {
    if (s < 0 || (t < s && !spec.square) || t >= count) return [make("div", { class: "lens-heatmap-where" }, POINT)];
    const parts = (spec.maps ?? []).flatMap((map, place) => {
      const at = (place * count + s) * count + t;
      const name = make("span", { class: `lens-heatmap-name lens-key-${map.key}` }, map.title);
      return ["  ", name, " ", make("span", {}, reading(values[at], errors[at]))];
    });
    const where = `${spec.word ?? "layer"} ${spec.layers[s]} → ${spec.layers[t]}:`;
    return [make("div", { class: "lens-heatmap-where" }, where), ...parts];
  }

  function cellAt(event) {
    const canvas = event.target.closest("canvas");
    const count = layersOf(model.get("spec")).length;
    if (!canvas || !count) return null;
    const box = canvas.getBoundingClientRect();
    const side = (box.width - SIZE.left) / count;
    const t = Math.floor((event.clientX - box.left - SIZE.left) / side);
    const s = Math.floor((event.clientY - box.top - SIZE.top) / side);
    const square = model.get("spec").square;
    return s >= 0 && s < count && t >= (square ? 0 : s) && t < count ? [s, t] : null;
  }

  function pick(cell) {
    model.send({ kind: "pick", source: cell[0], target: cell[1] });
  }

  const schedule = onceAFrame(life, show);
  life.listen(row, "pointermove", (event) => {
    hovered = cellAt(event);
    row.classList.toggle("lens-pointing", hovered !== null);
    schedule();
  });
  life.listen(row, "pointerleave", () => {
    hovered = null;
    schedule();
  });
  life.listen(row, "click", (event) => {
    const cell = cellAt(event);
    if (cell) pick(cell);
  });
  life.listen(row, "keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const from = hovered ?? chosen();
    if (event.key === "Enter") pick(from);
    if (!step) return;
    event.preventDefault();
    const last = layersOf(model.get("spec")).length - 1;
    const s = Math.min(Math.max(from[0] + step[0], 0), last);
    hovered = [s, Math.min(Math.max(from[1] + step[1], model.get("spec").square ? 0 : s), last)];
    schedule();
  });
  life.watch(model, ["spec", "values", "errors", "variant", "source", "target", "busy"], schedule);
  onResize(life, root, schedule);
  followTheme(life, schedule);
  show();
  return life.end;
}

export default { initialize, render };
