const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** The end of the shared scale: the first round number that holds every bar. */
function scaleEnd(columns) {
  const most = Math.max(0, ...columns.flatMap((column) => (column.rows ?? []).map((row) => row.probability || 0)));
  return STEPS.find((step) => step >= most) ?? 1;
}

function makeRow() {
  const mark = make("span", { class: "lens-row-mark" });
  const label = make("span", { class: "lens-row-label" });
  const bar = make("span", { class: "lens-bar" });
  const share = make("span", { class: "lens-row-share" });
  const track = make("span", { class: "lens-row-track" }, bar);
  return make("div", { class: "lens-row", role: "listitem" }, mark, label, track, share);
}

function showRow(node, row, end) {
  const [mark, label, track, share] = node.children;
  if (node.dataset.token !== row.label) label.replaceChildren(tokenText(row.label));
  if (Boolean(row.agrees) !== mark.hasChildNodes()) mark.replaceChildren(...(row.agrees ? agreement() : []));
  node.classList.toggle("lens-row-agrees", Boolean(row.agrees));
  track.firstChild.style.transform = `scaleX(${Math.min(1, (row.probability || 0) / end)})`;
  setText(share, percent(row.probability));
  setAttributes(node, {
    "data-token": row.label,
    "data-token-id": row.token_id,
    "data-probability": row.probability,
    title: `${row.label}   probability ${row.probability}   token id ${row.token_id}`,
  });
}

const agreement = () => [icon("check"), make("span", { class: "lens-hidden" }, "the model's own first choice: ")];

function makeColumn() {
  return make(
    "div",
    { class: "lens-column", role: "group" },
    make("div", { class: "lens-column-title" }, make("i"), make("span", { role: "heading", "aria-level": 2 })),
    make("div", { class: "lens-column-subtitle" }),
    make(
      "div",
      { class: "lens-column-body" },
      make("div", { class: "lens-rows", role: "list" }),
      make("div", { class: "lens-column-axis", "aria-hidden": "true" }, make("span", {}, "0"), make("span")),
      make("div", { class: "lens-column-message" }, make("div"), makeButton({ class: "lens-button" })),
    ),
    make("div", { class: "lens-told" }),
  );
}

function showColumn(node, column, end) {
  const find = (name) => node.querySelector(name);
  const rows = column.message ? [] : column.rows ?? [];
  const list = find(".lens-rows");
  setAttributes(node, { "data-column": column.key, "data-testid": `column-${column.key}`, "aria-label": column.title });
  setText(find(".lens-column-title span"), column.title ?? column.key);
  setText(find(".lens-column-subtitle"), column.subtitle ?? "");
  setAttributes(find(".lens-column-subtitle"), { title: column.subtitle });
  while (list.children.length > rows.length) list.lastChild.remove();
  while (list.children.length < rows.length) list.append(makeRow());
  rows.forEach((row, i) => showRow(list.children[i], row, end));
  setText(find(".lens-column-axis").lastChild, percent(end).replace(".0", ""));
  showMessage(node, column);
  showFacts(find(".lens-told"), column.facts ?? []);
}

function showMessage(node, column) {
  const [text, button] = node.querySelector(".lens-column-message").children;
  node.classList.toggle("lens-column-empty", Boolean(column.message));
  node.classList.toggle("lens-column-blank", !column.rows?.length);
  setText(text, column.message ?? "");
  setText(button, column.action?.label ?? "");
  setAttributes(button, { "data-action": column.action?.id });
  button.hidden = !column.message || !column.action;
}

const makeFact = () => make("div", {}, make("div", { class: "lens-told-name" }), make("div"));

function showFacts(list, facts) {
  while (list.children.length > facts.length) list.lastChild.remove();
  while (list.children.length < facts.length) list.append(makeFact());
  facts.forEach((fact, i) => {
    const node = list.children[i];
    setText(node.firstChild, fact.name);
    setText(node.lastChild, fact.value);
    setAttributes(node, { "data-fact": fact.name, title: fact.title });
  });
}

// ---------------------------------------------------------------- to take along

const inWords = (columns) =>
  columns.map(({ title, subtitle, rows }) => `${title}, ${subtitle}: first ${rows[0].label} with ${percent(rows[0].probability)}`).join("; ");

/** One prediction a row. */
function numbersOf(found) {
  const columns = ["column", "of", "rank", "token_id", "token", "probability", "agrees"];
  const rows = found.flatMap(({ title, subtitle, rows: listed }) =>
    listed.map((row, i) => [title, subtitle, i, row.token_id, row.label, row.probability, Boolean(row.agrees)]),
  );
  return { columns, rows };
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-topk");
  const grid = make("div", { class: "lens-columns lens-picture" });
  const listed = () => model.get("columns").filter((column) => !column.message && column.rows?.length);
  const take = takeAway(life, model, root, {
    draw: render,
    title: () => (listed().length ? `Predictions: ${listed().map((column) => column.title).join(", ")}` : ""),
    words: () => inWords(listed()),
    traits: ["columns", "k"],
    tables: () => [{ hint: "every prediction", ...numbersOf(listed()) }],
  });
  const key = make("div", { class: "lens-topk-foot" }, icon("check"), make("span", {}, "the model’s own first choice"), take.node);
  root.append(grid, key);

  function draw() {
    const columns = model.get("columns");
    const end = scaleEnd(columns);
    while (grid.children.length > columns.length) grid.lastChild.remove();
    while (grid.children.length < columns.length) grid.append(makeColumn());
    columns.forEach((column, i) => showColumn(grid.children[i], column, end));
    grid.style.setProperty("--lens-columns", Math.max(1, columns.length));
    const most = Math.max(model.get("k"), ...columns.map((column) => column.rows?.length ?? 0));
    grid.style.setProperty("--lens-rows", most);
    grid.classList.toggle("lens-columns-told", columns.some((column) => column.facts?.length));
    take.hide(!listed().length);
    root.classList.toggle("lens-topk-blank", !listed().length);
    showBusy(root, model.get("busy"));
  }

  life.listen(grid, "click", (event) => {
    const id = event.target.closest("[data-action]")?.dataset.action;
    if (id !== undefined) model.send({ kind: "action", id });
  });
  life.watch(model, ["columns", "k", "busy"], onceAFrame(life, draw));
  followTheme(life);
  draw();
  return life.end;
}

export default { initialize, render };
