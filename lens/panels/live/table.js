const LABEL = 48; // pixels kept for the layer numbers at the left
const FOOT = 34; // and for the tokens below
const NARROWEST = 64;
const WIDEST = 148;
const MODEL_GAP = 8; // between the model's own row and the layers
const SCROLLBAR = 14; // room for it, so that the page does not move when it comes
const RTL = /[\u0590-\u08ff\ufb1d-\ufdfd\ufe70-\ufefc]/;

// ---------------------------------------------------------------- what is shown of the numbers

/** What is looked at now: which casts, which metric; falls back to what the reading has. */
function chooseView(reading, cast, metricKey) {
  const { casts, metrics } = reading.spec;
  const compares = casts.includes("id") && casts.includes("mat");
  const known = casts.includes(cast) || (cast === "difference" && compares);
  const metric = Math.max(0, metrics.findIndex((item) => item.key === metricKey));
  const shown = known ? cast : casts[0];
  const difference = shown === "difference";
  // The cell's words are those of the first cast; the second is compared with it.
  const order = difference ? [casts.indexOf("mat"), casts.indexOf("id")] : [casts.indexOf(shown)];
  return { shown, difference, order, metric, compares };
}

// ---------------------------------------------------------------- from number to colour

/** Ranks differ by factors, not by steps; they begin at the metric's low, 0 or 1. */
const bend = (metric, value) => (metric.key === "rank" ? Math.log10(1 + value - (metric.low ?? 0)) : value);

/** The first of 1, 2, 5, 10, … that holds the value. */
function roundUp(value) {
  if (!(value > 0)) return 1;
  const decade = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * decade).find((step) => step >= value * (1 - 1e-9));
}

function formatScore(metric, value) {
  if (!Number.isFinite(value)) return "–";
  if (metric.key === "probability") return percent(value);
  if (metric.key === "rank") return wholeNumber(value);
  return value.toFixed(2) + (metric.unit ? `\u202f${metric.unit}` : "");
}

/** A metric's ends: as the reading says them, else the data's own, rounded up. */
function rangeOf(reading, index) {
  const { low, high } = reading.spec.metrics[index];
  let [least, most] = [0, 0];
  for (let cast = 0; cast < reading.spec.casts.length; cast++)
    for (let row = 0; row < reading.rows; row++)
      for (let column = 0; column < reading.width; column++) {
        const value = reading.score(index, cast, row, column);
        if (value < least) least = value;
        if (value > most) most = value;
      }
  return { low: Number.isFinite(low) ? low : least, high: Number.isFinite(high) ? high : roundUp(most) };
}

/** Positive where mat does better than id. */
function advantage(reading, view, row, column) {
  const metric = reading.spec.metrics[view.metric];
  const [mat, id] = view.order.map((cast) => bend(metric, reading.score(view.metric, cast, row, column)));
  return metric.better === "low" ? id - mat : mat - id;
}

/** The largest difference, rounded up: both ends of the diverging scale. */
function reachOf(reading, view) {
  let reach = 0;
  for (let row = 0; row < reading.modelRow; row++)
    for (let column = 0; column < reading.width; column++) {
      const size = Math.abs(advantage(reading, view, row, column));
      if (size > reach) reach = size;
    }
  return reading.spec.metrics[view.metric].key === "rank" ? Math.max(1, Math.ceil(reach)) : roundUp(reach);
}

/** How the view turns a cell into a colour, and what its legend says. The stronger the colour, the better. */
const makeScale = (reading, view, palette) =>
  (view.difference ? differenceScale : metricScale)(reading, view, palette);

/** One cast: from pale to strong along its own ramp; the model's row along a neutral one. */
function metricScale(reading, view, palette) {
  const metric = reading.spec.metrics[view.metric];
  const ramp = palette.ramps[view.shown] ?? palette.ramps.model;
  const { low, high } = rangeOf(reading, view.metric);
  const [start, end] = [bend(metric, low), bend(metric, high)];
  const shades = { model: shader(palette.ramps.model), layer: shader(ramp) };
  const colour = (row, column) => {
    const value = bend(metric, reading.score(view.metric, view.order[0], row, column));
    const share = (value - start) / (end - start || 1);
    return shades[row === reading.modelRow ? "model" : "layer"](metric.better === "low" ? 1 - share : share);
  };
  const gradient = cssGradient(metric.better === "low" ? [...ramp].reverse() : ramp);
  return { colour, legend: { from: legendNumber(metric, low), to: (metric.most > high ? "≥\u202f" : "") + legendNumber(metric, high, true), gradient } };
}

/** id against mat: orange where id does better, blue where mat does. */
function differenceScale(reading, view, palette) {
  const metric = reading.spec.metrics[view.metric];
  const ramp = [...palette.ramps.id].reverse().concat(palette.ramps.mat.slice(1));
  const reach = reachOf(reading, view);
  const shadeOf = shader(ramp);
  const plain = { fill: palette.wash, text: palette.ink };
  const colour = (row, column) =>
    row === reading.modelRow ? plain : shadeOf(0.5 + advantage(reading, view, row, column) / reach / 2);
  const size = legendReach(metric, reach);
  const legend = { from: `id better by ${size}`, to: `mat better by ${size}`, gradient: cssGradient(ramp) };
  return { colour, legend };
}

function legendReach(metric, reach) {
  if (metric.key === "rank") return `${wholeNumber(10 ** reach)}×`;
  if (metric.key === "probability") return `${Number((100 * reach).toPrecision(2))}\u202fpoints`;
  return legendNumber(metric, reach, true);
}

function legendNumber(metric, value, withUnit = false) {
  if (metric.key === "probability") return `${Number((100 * value).toPrecision(2))}\u202f%`;
  const number = Math.abs(value) >= 1000 ? wholeNumber(value) : String(Number(value.toPrecision(3)));
  return withUnit && metric.unit && metric.key !== "rank" ? `${number}\u202f${metric.unit}` : number;
}

// ---------------------------------------------------------------- where things lie

/** Pixel places of rows and columns; row 0 is layer 0, the last is the model, drawn on top. */
function layOut(reading, available) {
  const height = reading.rows <= 18 ? 28 : reading.rows <= 34 ? 24 : 20;
  const wanted = (available - LABEL) / reading.width;
  const cell = Math.min(WIDEST, Math.max(NARROWEST, wanted));
  const x = (column) => Math.round(LABEL + column * cell);
  const y = (row) => (row === reading.modelRow ? 0 : MODEL_GAP + (reading.modelRow - row) * height);
  return { height, x, y, cell, width: x(reading.width), bottom: y(0) + height, full: y(0) + height + FOOT };
}

/** The row and column under a point of the content; null beside them. */
function locate(reading, geometry, x, y) {
  const column = Math.floor((x - LABEL) / geometry.cell);
  const row = reading.modelRow - Math.floor((y < geometry.height ? y : y - MODEL_GAP) / geometry.height);
  return {
    row: row >= 0 && row <= reading.modelRow ? row : null,
    column: column >= 0 && column < reading.width ? column : null,
  };
}

// ---------------------------------------------------------------- ink on the canvas

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The label, shortened with an ellipsis to the room there is. */
function shorten(context, label, room) {
  if (context.measureText(label).width <= room) return label;
  const signs = Array.from(graphemes.segment(label), (part) => part.segment);
  while (signs.length > 1 && context.measureText(`${signs.join("")}…`).width > room) signs.pop();
  return `${signs.join("")}…`;
}

/** A token, centred; signs that stand for a space and the like are drawn fainter. */
function drawToken(context, label, box, colour, glyphs = 0.62) {
  const parts = tokenParts(shorten(context, label, box.width - 10));
  if (RTL.test(label)) parts.reverse();
  const widths = parts.map((part) => context.measureText(part.text).width);
  let x = box.x + (box.width - widths.reduce((sum, width) => sum + width, 0)) / 2;
  context.fillStyle = colour;
  parts.forEach((part, i) => {
    context.globalAlpha = part.glyph ? glyphs : 1;
    context.fillText(part.text, x, box.y + box.height / 2 + 0.5);
    x += widths[i];
  });
  context.globalAlpha = 1;
}

function fillRound(context, box, colour, radius = 3) {
  context.beginPath();
  context.roundRect(box.x, box.y, box.width, box.height, radius);
  context.fillStyle = colour;
  context.fill();
}

function strokeRound(context, box, colour, width, inset = 0, radius = 3) {
  context.beginPath();
  context.roundRect(box.x + inset, box.y + inset, box.width - 2 * inset, box.height - 2 * inset, radius);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

/** An absent cell: fine diagonal lines. */
function drawAbsent(context, box, colour) {
  context.save();
  context.beginPath();
  context.roundRect(box.x, box.y, box.width, box.height, 3);
  context.clip();
  context.beginPath();
  for (let x = box.x - box.height; x < box.x + box.width; x += 6) {
    context.moveTo(x, box.y + box.height);
    context.lineTo(x + box.height, box.y);
  }
  context.lineWidth = 1;
  context.strokeStyle = colour;
  context.stroke();
  context.restore();
}

/** A small corner: id's first choice is another one. */
function drawCorner(context, box, colour) {
  context.beginPath();
  context.moveTo(box.x + box.width - 8, box.y + 2);
  context.lineTo(box.x + box.width - 2, box.y + 2);
  context.lineTo(box.x + box.width - 2, box.y + 8);
  context.closePath();
  context.globalAlpha = 0.75;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 1;
}

/** One frame of the table. `scene` holds all that it depends on. */
function paint(context, scene) {
  const { geometry, reading, scroll, size, palette } = scene;
  context.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  context.textBaseline = "middle";
  const first = Math.max(0, Math.floor(scroll.x / geometry.cell));
  const last = Math.min(reading.width - 1, Math.floor((scroll.x + size.width - LABEL) / geometry.cell));
  const box = (row, column) => ({
    x: geometry.x(column) - scroll.x + 1,
    y: geometry.y(row) - scroll.y + 1,
    width: geometry.x(column + 1) - geometry.x(column) - 2,
    height: geometry.height - 2,
  });
  paintBands(context, scene, box);
  for (let row = 0; row < reading.rows; row++)
    for (let column = first; column <= last; column++) paintCell(context, scene, row, column, box(row, column));
  paintMarks(context, scene, box);
  context.fillStyle = palette.ground;
  context.fillRect(0, 0, LABEL, size.height);
  paintRowLabels(context, scene, box);
  context.fillStyle = palette.ground;
  context.fillRect(0, size.height - FOOT, size.width, FOOT);
  paintTokens(context, scene, box, first, last);
}

/** The chosen row and column, lightly. */
function paintBands(context, { chosen, palette, size, reading }, box) {
  context.fillStyle = palette.wash;
  if (chosen.column !== null) {
    const { x, width } = box(0, chosen.column);
    context.fillRect(x - 1, 0, width + 2, size.height);
  }
  if (chosen.row !== null) {
    const { y, height } = box(chosen.row, reading.width - 1);
    context.fillRect(LABEL, y - 1, size.width - LABEL, height + 2);
  }
}

function paintCell(context, { reading, view, scale, palette }, row, column, box) {
  const colour = scale.colour(row, column);
  const { label, probability } = reading.best(view.order[0], row, column);
  fillRound(context, box, palette.ground);
  if (colour === null || Number.isNaN(probability)) return drawAbsent(context, box, palette.line);
  fillRound(context, box, colour.fill);
  if (label === null) return;
  const settled = label === reading.best(view.order[0], reading.modelRow, column).label;
  context.font = `${settled ? "600 " : ""}12px ${palette.font}`;
  drawToken(context, label, box, colour.text);
  const other = view.difference && row !== reading.modelRow ? reading.best(view.order[1], row, column).label : label;
  if (other !== label) drawCorner(context, box, colour.text);
}

function paintMarks(context, { active, chosen, palette, keyboard }, box) {
  if (chosen.row !== null && chosen.column !== null) {
    strokeRound(context, box(chosen.row, chosen.column), palette.ground, 2, 2.5);
    strokeRound(context, box(chosen.row, chosen.column), palette.ink, 2, 0.5);
  }
  if (active && active.row !== null && active.column !== null) {
    strokeRound(context, box(active.row, active.column), palette.ink, keyboard ? 2.5 : 1.5, 0);
  }
}

function paintRowLabels(context, { reading, palette, chosen, geometry, size, scroll }, box) {
  for (let row = 0; row < reading.rows; row++) {
    const { y, height } = box(row, 0);
    const own = row === reading.modelRow;
    const on = row === chosen.row;
    if (on) fillRound(context, { x: LABEL - 38, y: y + 3, width: 30, height: height - 6 }, palette.ink, 4);
    context.font = `${on || own ? "600 " : ""}12px ${palette.font}`;
    context.textAlign = "right";
    context.fillStyle = on ? palette.ground : own ? palette.ink : palette.soft;
    context.fillText(reading.rowName(row), LABEL - (own ? 10 : 14), y + height / 2 + 0.5);
  }
  context.textAlign = "left";
  if (scroll.x > 0) paintEdge(context, LABEL - 1, 0, Math.min(size.height, geometry.bottom), palette.line);
}

function paintEdge(context, x, y, height, colour) {
  context.fillStyle = colour;
  context.fillRect(x, y, 1, height);
}

function paintTokens(context, { reading, palette, chosen, size }, box, first, last) {
  const y = size.height - FOOT + 5;
  for (let column = first; column <= last; column++) {
    const { x, width } = box(0, column);
    const token = reading.spec.columns[column];
    const on = column === chosen.column;
    const pill = { x: x + 1, y, width: width - 2, height: 22 };
    if (on) fillRound(context, pill, palette.ink, 5);
    context.setLineDash([3, 2]);
    if (token.masked && !on) strokeRound(context, pill, palette.soft, 1, 0.5, 5);
    context.setLineDash([]);
    context.font = `${on ? "600 " : ""}12px ${palette.font}`;
    const plain = token.special || token.masked;
    const colour = on ? palette.ground : token.special && !token.masked ? palette.faint : palette.ink;
    drawToken(context, token.label, pill, colour, plain ? 1 : 0.62);
  }
  context.fillStyle = palette.ground;
  context.fillRect(0, y - 5, LABEL, FOOT);
  context.font = `12px ${palette.font}`;
  context.fillStyle = palette.faint;
  context.textAlign = "right";
  context.fillText("layer", LABEL - 14, y + 11.5);
  context.textAlign = "left";
}

// ---------------------------------------------------------------- in words

/** The cell as a sentence, for those who do not see it. */
function cellInWords(reading, view, row, column) {
  const { spec } = reading;
  const layer = row === reading.modelRow ? "model" : `layer ${spec.layers[row]}`;
  const place = `${layer}, position ${reading.positionOf(column)}, ${spec.columns[column].label}`;
  const metric = spec.metrics[view.metric];
  const readings = view.order.map((cast) => {
    const { label, probability } = reading.best(cast, row, column);
    const score = formatScore(metric, reading.score(view.metric, cast, row, column));
    return `${spec.casts[cast]}: ${label ?? "nothing"}, ${percent(probability)}, ${metric.title} ${score}`;
  });
  return `${place}. ${readings.join(". ")}.`;
}

function tooltipContent(reading, view, row, column) {
  const { spec } = reading;
  const own = row === reading.modelRow;
  const place = ` · position ${reading.positionOf(column)}`;
  const casts = own ? view.order.slice(0, 1) : [...view.order].reverse();
  const head = make(
    "div",
    { class: "lens-tip-head" },
    make("strong", {}, own ? "model" : `layer ${spec.layers[row]}`),
    make("span", { class: "lens-tip-place" }, " at ", tokenText(spec.columns[column].label), place),
  );
  const found = casts.map((cast) => reading.list(cast, row, column).slice(0, 10));
  const most = Math.max(...found.flat().map((item) => item.probability), 1e-9); // one scale for both casts
  const lists = casts.map((cast, i) => tooltipList(own ? "model" : spec.casts[cast], found[i], most));
  const scores = tooltipScores(reading, view, casts, row, column);
  return [head, make("div", { class: "lens-tip-lists" }, ...lists), scores];
}

/** The top-k of one cast as small bars. */
function tooltipList(name, items, most) {
  const rows = items.map((item) => tooltipRow(item, most));
  const absent = make("div", { class: "lens-tip-absent" }, "not there");
  const heading = make("div", { class: "lens-tip-cast" }, name);
  return make("div", { class: "lens-tip-list", "data-column": name }, heading, ...(rows.length ? rows : [absent]));
}

function tooltipRow({ label, probability }, most) {
  const bar = make("span", { class: "lens-bar" });
  bar.style.transform = `scaleX(${probability / most})`;
  const token = make("span", { class: "lens-tip-label" }, tokenText(label));
  const share = make("span", { class: "lens-tip-share" }, percent(probability));
  return make("div", { class: "lens-tip-row" }, token, make("span", { class: "lens-tip-track" }, bar), share);
}

/** Every metric of the cell, the one that colours it in bold. */
function tooltipScores(reading, view, casts, row, column) {
  const rows = reading.spec.metrics.map((metric, i) => {
    const values = casts.map((cast) => make("span", {}, formatScore(metric, reading.score(i, cast, row, column))));
    const name = make("span", { class: "lens-tip-metric" }, metric.title);
    return make("div", { class: `lens-tip-score${i === view.metric ? " lens-tip-on" : ""}` }, name, ...values);
  });
  return make("div", { class: `lens-tip-scores${casts.length > 1 ? " lens-tip-two" : ""}` }, ...rows);
}

// ---------------------------------------------------------------- to take along

function inWords({ reading: { spec, width }, view }) {
  const what = view.difference ? "mat against id" : view.shown;
  const size = `${spec.layers.length} layers by ${width} tokens`;
  return `Lens table, ${size}: the first prediction of ${what}, coloured by ${spec.metrics[view.metric].title}. ${spec.note ?? ""}`.trim();
}

/** `row(cast, row, column)` of every cell, with where it stands in front; the model's own row once. */
function eachCell(reading, rowsOf) {
  const { spec, modelRow } = reading;
  return spec.casts.flatMap((cast, c) =>
    Array.from({ length: reading.rows }, (_, row) => row).flatMap((row) => {
      if (row === modelRow && c > 0) return [];
      const [name, source] = row === modelRow ? ["model", spec.target] : [cast, spec.layers[row]];
      return spec.columns.flatMap((column, at) => {
        const place = [name, source, spec.target, reading.positionOf(at), column.label];
        return rowsOf(c, row, at).map((found) => [...place, ...found]);
      });
    }),
  );
}

const PLACE = ["cast", "source", "target", "position", "at"];

/** One cell a row: its first prediction, and every metric. */
function cellsOf(reading) {
  const { metrics } = reading.spec;
  const rows = eachCell(reading, (...at) => {
    const { id, label } = reading.best(...at);
    return [[id, label, ...metrics.map((_, i) => reading.score(i, ...at))]];
  });
  return { columns: [...PLACE, "token_id", "token", ...metrics.map((metric) => metric.key)], rows };
}

/** One prediction a row; rank 0 is the top. */
function predictionsOf(reading) {
  const rows = eachCell(reading, (...at) => reading.list(...at).map(({ id, label, probability }, i) => [i, id, label, probability]));
  return { columns: [...PLACE, "rank", "token_id", "token", "probability"], rows };
}

// ---------------------------------------------------------------- the widget

const CAST_TITLES = {
  id: "The stream as it is: the logit lens",
  mat: "The stream carried on by a fitted linear map",
  difference: "Where mat does better than id, and where worse",
};

function buildParts(root, life, choose, take) {
  const span = (name) => make("span", { class: name });
  const casts = segmented(life, "Cast", (value) => choose("cast", value));
  const metrics = segmented(life, "Metric", (value) => choose("metric", value));
  const title = make("div", { class: "lens-table-title" });
  const [from, ramp, to] = [span("lens-legend-from"), span("lens-legend-ramp"), span("lens-legend-to")];
  const legend = make("div", { class: "lens-legend", role: "img" }, from, ramp, to);
  const canvas = make("canvas", { "aria-hidden": "true" });
  const space = make("div", { class: "lens-table-space" }, canvas);
  const focusable = { tabindex: 0, role: "application", ...OWN_KEYS };
  const scroll = make("div", { class: "lens-table-scroll lens-picture", "data-lens-wide": true, ...focusable }, space);
  const [note, marks] = [span("lens-table-note"), span("lens-table-key")];
  const words = make("div", { class: "lens-hidden", "aria-live": "polite" });
  const side = make("div", { class: "lens-table-side" }, legend, take);
  const bar = make("div", { class: "lens-table-bar" }, title, casts.root, metrics.root, side);
  root.append(bar, scroll, make("div", { class: "lens-table-foot" }, note, marks), words);
  return { root, casts, metrics, title, legend, from, ramp, to, canvas, space, scroll, note, marks, words };
}

function showControls(parts, { reading, view, scale }) {
  const { spec } = reading;
  const { legend } = scale;
  const metric = spec.metrics[view.metric].key;
  const casts = view.compares ? [...spec.casts, "difference"] : spec.casts;
  parts.casts.show(casts.map((value) => ({ value, label: value, title: CAST_TITLES[value] })), view.shown);
  parts.metrics.show(spec.metrics.map(({ key, title }) => ({ value: key, label: title })), metric);
  setText(parts.title, spec.title ?? "");
  setText(parts.from, legend.from);
  setText(parts.to, legend.to);
  parts.ramp.style.background = legend.gradient;
  setAttributes(parts.legend, { "aria-label": `${spec.metrics[view.metric].title}: ${legend.from} to ${legend.to}` });
  setText(parts.note, spec.note ?? "");
  setText(parts.marks, `${view.difference ? "words of mat · ◥ id says another · " : ""}bold: same as the model`);
  const size = `${spec.layers.length} layers by ${reading.width} tokens`;
  setAttributes(parts.scroll, { "aria-label": `Lens table, ${size}. Arrow keys move, Enter chooses.` });
  setAttributes(parts.root, { "data-cast": view.shown, "data-metric": metric });
}

/** Fit the canvas to what can be seen of the table. */
function fitCanvas({ space, scroll, canvas }, geometry) {
  space.style.width = `${geometry.width}px`;
  space.style.height = `${geometry.full}px`;
  scroll.style.height = `min(${geometry.full + SCROLLBAR}px, var(--lens-table-height))`;
  const ratio = window.devicePixelRatio || 1;
  const size = { width: scroll.clientWidth, height: Math.min(geometry.full, scroll.clientHeight) };
  const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.style.width = `${size.width}px`;
  canvas.style.height = `${size.height}px`;
  return { ratio, size };
}

/** Scroll the table, and only the table, so that the cell can be seen. */
function revealCell(scroll, geometry, { row, column }) {
  const [left, right] = [geometry.x(column) - LABEL, geometry.x(column + 1)];
  if (scroll.scrollLeft > left) scroll.scrollLeft = left;
  else if (scroll.scrollLeft + scroll.clientWidth < right) scroll.scrollLeft = right - scroll.clientWidth;
  if (row === null) return;
  const [top, bottom] = [geometry.y(row), geometry.y(row) + geometry.height + FOOT];
  if (scroll.scrollTop > top) scroll.scrollTop = top;
  else if (scroll.scrollTop + scroll.clientHeight < bottom) scroll.scrollTop = bottom - scroll.clientHeight;
}

/** Everything one frame depends on. The scale of the frame before is kept while the question is the same. */
function compose(model, parts, { reading, palette, pointer, cursor, reveal }, before) {
  const view = chooseView(reading, model.get("cast"), model.get("metric"));
  const geometry = layOut(reading, parts.scroll.clientWidth);
  const { ratio, size } = fitCanvas(parts, geometry);
  const chosen = chosenCell(model, reading);
  if (reveal && chosen.column !== null) revealCell(parts.scroll, geometry, chosen);
  const scroll = { x: parts.scroll.scrollLeft, y: parts.scroll.scrollTop };
  const scene = { reading, palette, view, geometry, ratio, size, scroll, chosen };
  scene.scale = sameScale(scene, before) ? before.scale : makeScale(reading, view, palette);
  scene.keyboard = !pointer && cursor !== null;
  scene.active = pointer ? cellUnder(parts.canvas, scene, pointer) : cursor;
  return scene;
}

const sameScale = (scene, before) =>
  before?.reading === scene.reading &&
  before.palette === scene.palette &&
  before.view.shown === scene.view.shown &&
  before.view.metric === scene.view.metric;

function chosenCell(model, reading) {
  const row = reading.spec.layers.indexOf(model.get("source"));
  const column = reading.columnOf(model.get("position"));
  return { row: row < 0 ? null : row, column: column >= 0 && column < reading.width ? column : null };
}

/** The cell under a point of the window; beside a layer's name or a token only its row or column. */
function cellUnder(canvas, { reading, geometry, scroll }, { x, y }) {
  const edge = canvas.getBoundingClientRect();
  const [left, top] = [x - edge.left, y - edge.top];
  if (left < 0 || top < 0 || left >= edge.width || top >= edge.height) return null;
  const { row, column } = locate(reading, geometry, left + scroll.x, top + scroll.y);
  const found = { row: top > edge.height - FOOT ? null : row, column: left < LABEL ? null : column };
  return found.row === null && found.column === null ? null : found;
}

/** The cell's place in the window. */
function cellEdges(canvas, { geometry, scroll }, { row, column }) {
  const edge = canvas.getBoundingClientRect();
  const x = edge.left + geometry.x(column) - scroll.x;
  const y = edge.top + geometry.y(row) - scroll.y;
  return new DOMRect(x, y, geometry.x(column + 1) - geometry.x(column), geometry.height);
}

/** What a cell says under the cast and metric shown. */
function cellValues({ reading, view }, { row, column }) {
  const { label, probability } = reading.best(view.order[0], row, column);
  const [own, other] = view.order.map((cast) => reading.score(view.metric, cast, row, column));
  return { token: label, probability, score: view.difference ? own - other : own };
}

/** Choose a cell: a click on the model's row, or on a token, leaves the source as it is. */
function pick(model, reading, { row, column }) {
  const source = row === null || row === reading.modelRow ? model.get("source") : reading.spec.layers[row];
  const position = column === null ? model.get("position") : reading.positionOf(column);
  model.set("source", source);
  model.set("position", position);
  model.save_changes();
  model.send({ kind: "pick", source, position });
}

const MOVES = {
  ArrowUp: ({ row, column }) => ({ row: row + 1, column }),
  ArrowDown: ({ row, column }) => ({ row: row - 1, column }),
  ArrowLeft: ({ row, column }) => ({ row, column: column - 1 }),
  ArrowRight: ({ row, column }) => ({ row, column: column + 1 }),
  Home: ({ row }) => ({ row, column: 0 }),
  End: ({ row }) => ({ row, column: Infinity }),
  PageUp: ({ column }) => ({ row: Infinity, column }),
  PageDown: ({ column }) => ({ row: 0, column }),
};

const within = (reading, { row, column }) => ({
  row: Math.max(0, Math.min(row, reading.modelRow)),
  column: Math.max(0, Math.min(column, reading.width - 1)),
});

/** The tooltip beside the active cell, rebuilt only when it is about something else. */
function tooltipFor(life, parts) {
  const tip = tooltip(life);
  let about = "";
  return (scene, fresh) => {
    const { active, view, reading } = scene;
    parts.scroll.style.cursor = active ? "pointer" : "";
    const whole = active && active.row !== null && active.column !== null;
    const subject = whole ? [active.row, active.column, view.shown, view.metric].join() : "";
    const changed = fresh || subject !== about;
    about = subject;
    if (!whole) return tip.hide();
    const edges = cellEdges(parts.canvas, scene, active);
    if (!changed) return tip.move(edges);
    tip.show(tooltipContent(reading, view, active.row, active.column), edges);
    if (scene.keyboard) setText(parts.words, cellInWords(reading, view, active.row, active.column));
  };
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-table");
  const schedule = onceAFrame(life, draw);
  const take = takeAway(life, model, root, {
    draw: render,
    title: () => model.get("spec").title ?? "",
    words: () => inWords(scene),
    traits: ["spec", "top", "probabilities", "scores", "cast", "metric", "source", "position"],
    tables: () => [
      { hint: "first prediction of every cell", ...cellsOf(state.reading) },
      { hint: "every prediction of every cell", name: "predictions", ...predictionsOf(state.reading) },
    ],
  });
  const parts = buildParts(root, life, choose, take.node);
  const showTip = tooltipFor(life, parts);
  const state = {
    reading: null,
    stale: true, // the numbers have changed since they were read
    palette: null, // read from the style sheet when it is needed
    reveal: true, // the chosen cell has moved and must be seen
    pointer: null, // where the mouse is, in the window
    cursor: null, // the cell that the keyboard is on, while it is used
  };
  let scene = null;

  function choose(name, value) {
    model.set(name, value);
    model.save_changes();
    schedule();
  }

  function draw() {
    showBusy(root, model.get("busy"));
    const fresh = state.stale;
    if (fresh) state.reading = openReading(model) ?? state.reading;
    state.stale = false;
    if (!state.reading || !parts.scroll.clientWidth) return;
    state.cursor &&= within(state.reading, state.cursor);
    state.palette ??= readPalette(root);
    scene = compose(model, parts, state, scene);
    state.reveal = false;
    paint(parts.canvas.getContext("2d"), scene);
    parts.canvas.lensPaint = (pen) => paint(pen, { ...scene, ratio: 1 });
    showControls(parts, scene);
    showTip(scene, fresh);
  }

  function change(...changes) {
    Object.assign(state, ...changes);
    schedule();
  }

  function startCursor() {
    const { row, column } = scene.chosen;
    return state.cursor ?? { row: row ?? state.reading.modelRow, column: column ?? 0 };
  }

  function onKey(event) {
    if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") pick(model, state.reading, startCursor());
    else if (event.key === "Escape") state.cursor = null;
    else if (event.key in MOVES) state.cursor = within(state.reading, MOVES[event.key](startCursor()));
    else return;
    event.preventDefault();
    if (state.cursor) revealCell(parts.scroll, scene.geometry, state.cursor);
    change({ pointer: null });
  }

  function onClick(event) {
    const cell = scene && cellUnder(parts.canvas, scene, { x: event.clientX, y: event.clientY });
    if (cell) pick(model, state.reading, cell);
  }

  function onFocus() {
    if (scene && parts.scroll.matches(":focus-visible")) change({ cursor: startCursor() });
  }

  life.listen(parts.canvas, "pointermove", (event) => change({ pointer: { x: event.clientX, y: event.clientY } }));
  life.listen(parts.canvas, "pointerleave", () => change({ pointer: null }));
  life.listen(parts.canvas, "click", onClick);
  life.listen(parts.scroll, "keydown", onKey);
  life.listen(parts.scroll, "focus", onFocus);
  life.listen(parts.scroll, "blur", () => change({ cursor: null }));
  life.listen(window, "scroll", schedule, { capture: true, passive: true });
  life.listen(window, "resize", schedule);
  life.watch(model, ["spec", "top", "probabilities", "scores"], () => change({ stale: true }));
  life.watch(model, ["source", "position"], () => change({ reveal: true }));
  life.watch(model, ["cast", "metric", "busy"], schedule);
  onResize(life, parts.scroll, schedule);
  followTheme(life, () => change({ palette: null }));
  /** For tests and the curious; `source` is a layer, or "model". */
  root.lensCell = (source, position) => {
    const { spec, modelRow, columnOf } = scene.reading;
    const cell = { row: source === "model" ? modelRow : spec.layers.indexOf(source), column: columnOf(position) };
    const { x, y, width, height } = cellEdges(parts.canvas, scene, cell);
    return { ...cellValues(scene, cell), box: { x, y, width, height } };
  };
  schedule();
  return life.end;
}

export default { initialize, render };
