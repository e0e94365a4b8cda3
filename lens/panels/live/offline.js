// A saved view: the widgets of lens over numbers that lie in the page. What the kernel would answer to a click is
// worked out here, from the same reading.

const FACTS = {
  entropy: ["entropy", "how undecided this prediction is"],
  kl: ["KL", "KL divergence of this prediction from the model's own"],
  surprisal: ["surprisal", "−ln of the model's probability for this top token"],
  rank: ["rank", "place of the model's own top token here; 1 is the top"],
};
const OWN_FACTS = ["entropy", "surprisal"];

/** The predictions of one row of the table at one token, as a column of bars. */
function barsAt(reading, page, key, cast, row, column) {
  const own = reading.best(0, reading.modelRow, column).id;
  const rows = reading
    .list(cast, row, column)
    .slice(0, page.k)
    .map(({ id, label, probability }) => ({ label, probability, token_id: id, agrees: id === own }));
  const facts = (key === "model" ? OWN_FACTS : Object.keys(FACTS)).map((name) => {
    const value = reading.score(reading.spec.metrics.findIndex((metric) => metric.key === name), cast, row, column);
    const said = name === "rank" ? wholeNumber(value) : `${value.toFixed(2)} nats`;
    return { name: FACTS[name][0], value: said, title: FACTS[name][1] };
  });
  return { key, title: key, rows, facts, message: null, action: null };
}

/** What each cast predicts at a layer, and the model beside them. */
function columnsAt(reading, page, source, position) {
  const { casts, target, layers } = reading.spec;
  const [row, column] = [layers.indexOf(source), reading.columnOf(position)];
  const drawn = casts.map((cast, place) => {
    const subtitle = `layer ${source} ${cast === "id" ? "read as" : "mapped to"} layer ${target}${page.onward}`;
    return { ...barsAt(reading, page, cast, place, row, column), subtitle };
  });
  return [...drawn, { ...barsAt(reading, page, "model", 0, reading.modelRow, column), subtitle: `${page.name}, all layers` }];
}

/** One metric at one token by layer, a line for each cast; of the rank, what is drawn is one over it. */
function pathAt(reading, page, metric, source, position) {
  const { casts, layers, metrics, columns } = reading.spec;
  const [index, column] = [metrics.findIndex((each) => each.key === metric), reading.columnOf(position)];
  const value = (cast, row) => {
    const found = reading.score(index, cast, row, column);
    return Number.isFinite(found) ? (metric === "rank" ? 1 / found : found) : null;
  };
  const lines = casts.map((cast, place) => ({ key: cast, title: cast, values: layers.map((_, row) => value(place, row)), errors: [] }));
  const note = `After ${columns[column].label}. Click a layer to read it.`;
  return { ...page.paths[metric], lines, note, marker: { x: source } };
}

function open(page, widgets) {
  const place = (id) => document.getElementById(id).appendChild(make("div"));
  const shown = (kind, id, state) => {
    const model = ownModel({ busy: false, ...unpackedState(state) });
    widgets[kind]({ model, el: place(id) });
    return model;
  };
  const table = shown("table", "lens-table", { ...page.table, stem: page.stems.table });
  const reading = openReading(table);
  const chips = shown("chips", "lens-tokens", page.chips);
  const topk = shown("topk", "lens-predictions", { columns: [], k: page.k, stem: page.stems.jump });
  const path = shown("chart", "lens-path", { spec: {}, stem: page.stems.jump });
  page.more.forEach(({ kind, state }, i) => shown(kind, `lens-more-${i}`, state));
  const slider = document.getElementById("lens-source");

  function draw() {
    const [source, position] = [table.get("source"), table.get("position")];
    chips.set("position", position);
    topk.set("columns", columnsAt(reading, page, source, position));
    path.set("spec", pathAt(reading, page, table.get("metric"), source, position));
    if (slider.value !== String(source)) slider.value = source;
    setText(document.getElementById("lens-source-said"), String(source));
  }

  chips.on("change:position", () => {
    const wanted = chips.get("position");
    if (reading.columnOf(wanted) >= 0 && reading.columnOf(wanted) < reading.width) table.set("position", wanted);
    draw(); // of a masked model only the masks are read: another token leaves no mark
  });
  path.on("msg:sent", ({ x }) => table.set("source", x));
  slider.addEventListener("input", () => table.set("source", Number(slider.value)));
  for (const name of ["source", "position", "metric"]) table.on(`change:${name}`, draw);
  draw();
}
