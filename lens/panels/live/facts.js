/** A number as it stands in its column. */
function fixed(value, { format, digits = 0 }) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return (format === "percent" ? 100 * value : value).toLocaleString("en-US", options).replace("-", "−");
}

const isText = ({ format }) => format === "text" || format === "token";

/** What stands in a cell; `unknown` where there is no number. */
function said(cell, column, unknown) {
  if (column.format === "token") return tokenText(cell);
  const [value, error] = column.error ? cell : [cell, null];
  if (value === null) return unknown;
  if (isText(column) || column.format === "index") return String(value);
  const doubt = error === null ? "" : ` ± ${fixed(error, column)}`;
  return `${fixed(value, column)}${doubt}${column.format === "percent" ? "\u202f%" : ""}`;
}

function makeRow(cells, columns, unknown) {
  const made = columns.map((column, i) => {
    const attributes = { class: isText(column) ? null : "lens-facts-number" };
    if (!i) return make("th", { ...attributes, scope: "row" }, said(cells[i], column, unknown));
    return make("td", attributes, said(cells[i], column, unknown));
  });
  return make("tr", {}, ...made);
}

function makeHead(columns) {
  const head = (column) => make("th", { class: isText(column) ? null : "lens-facts-number", scope: "col" }, column.title);
  return make("tr", {}, ...columns.map(head));
}

// ---------------------------------------------------------------- to take along

/** The rows as they are, a standard error in a column of its own. */
function numbersOf({ columns, rows }) {
  const names = columns.flatMap(({ title, error }) => (error ? [title, `standard error of ${title}`] : [title]));
  return { columns: names, rows: rows.map((row) => row.flat()) };
}

// ---------------------------------------------------------------- the widget

/** A small table: a caption, a head for each column, and one for each row. */
function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-facts");
  const title = make("span", { class: "lens-panel-title", role: "heading", "aria-level": 2 });
  const [head, body] = [make("thead"), make("tbody")];
  const table = make("table", {}, make("caption", {}, title), head, body);
  const scroll = make("div", { class: "lens-facts-scroll lens-picture", "data-lens-wide": true }, table);
  const note = make("div", { class: "lens-note" });
  const take = takeAway(life, model, root, ofSpec(model, render, "every row", numbersOf));
  root.append(scroll, note, take.node);

  function show() {
    const { rows = [], columns = [], ...spec } = model.get("spec");
    const busy = Boolean(model.get("busy"));
    root.hidden = !rows.length;
    setText(title, spec.title ?? "");
    setText(note, spec.note ?? "");
    head.replaceChildren(makeHead(columns));
    body.replaceChildren(...rows.map((row) => makeRow(row, columns, busy ? "…" : "–")));
    take.hide(!rows.length);
    showBusy(root, busy);
    reach();
  }

  /** What does not fit is scrolled, with the keyboard as well. */
  function reach() {
    const wide = scroll.scrollWidth > scroll.clientWidth;
    const region = { tabindex: 0, role: "region", "aria-label": title.textContent, ...OWN_KEYS };
    setAttributes(scroll, wide ? region : Object.fromEntries(Object.keys(region).map((name) => [name, null])));
  }

  const schedule = onceAFrame(life, show);
  life.watch(model, ["spec", "busy"], schedule);
  onResize(life, scroll, onceAFrame(life, reach));
  followTheme(life);
  show();
  return life.end;
}

export default { initialize, render };
