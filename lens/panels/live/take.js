// Taking a picture along: as SVG, PNG, a page of its own, or its numbers as CSV. All of it is made in the browser, so
// it also works where the kernel is gone.

const TAKE_SCALE = 2; // pixels of a PNG to a pixel of the screen
const TAKE_SIDE = 16_384; // and the most that browsers draw along one side
const NARROW = 480; // no figure is narrower than this

// ---------------------------------------------------------------- CSV

/** Spreadsheets run what begins with these (OWASP, CSV injection): a text that does is set off by an apostrophe. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/u;

function csvCell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value); // the shortest that reads back as the same number
  if (typeof value === "boolean") return value ? "True" : "False";
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows under a header, as RFC 4180 has it; the mark in front tells Excel that it is UTF-8. */
function csvOf({ columns, rows }) {
  return `\ufeff${[columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n")}\r\n`;
}

// ---------------------------------------------------------------- a copy of the widget

/** A model without a kernel, as it says: it holds a state, and tells of changes. */
function ownModel(state) {
  const handlers = [];
  return {
    isAlone: true,
    get: (name) => state[name],
    set(name, value) {
      if (state[name] === value) return;
      state[name] = value;
      for (const [event, handler] of [...handlers]) if (event === `change:${name}`) handler();
    },
    save_changes() {},
    send(message) {
      for (const [event, handler] of [...handlers]) if (event === "msg:sent") handler(message);
    },
    on: (event, handler) => handlers.push([event, handler]),
    off(event, handler) {
      const place = handlers.findIndex(([name, each]) => name === event && each === handler);
      if (place >= 0) handlers.splice(place, 1);
    },
  };
}

const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

/** The picture on white paper, whole and at rest, for as long as `use` needs it. */
async function onPaper(draw, state, width, use) {
  const el = make("div");
  const paper = make("div", { class: "lens-paper", "aria-hidden": "true", inert: true }, el);
  document.body.append(paper);
  paper.style.width = `${Math.max(NARROW, width)}px`;
  const end = draw({ model: ownModel(state), el });
  try {
    await painted();
    const hidden = Math.max(0, ...Array.from(paper.querySelectorAll("[data-lens-wide]"), (node) => node.scrollWidth - node.clientWidth));
    if (hidden) {
      paper.style.width = `${paper.clientWidth + hidden}px`; // what one would have to scroll for
      await painted();
    }
    return use(el.firstChild);
  } finally {
    end();
    paper.remove();
  }
}

async function pngOf({ text, width, height }) {
  const scale = Math.min(TAKE_SCALE, TAKE_SIDE / width, TAKE_SIDE / height);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  await image.decode();
  const canvas = make("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  if (!blob) throw new Error("it is too large for this browser");
  return blob;
}

// ---------------------------------------------------------------- a page of its own

const WIRE = "base64";

/** Bytes as text that JSON can hold, and back. */
function packed(value) {
  if (!ArrayBuffer.isView(value)) return value;
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  const signs = [];
  for (let at = 0; at < bytes.length; at += 8192) signs.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  return { [WIRE]: btoa(signs.join("")) };
}

function unpacked(value) {
  if (value?.[WIRE] === undefined) return value;
  return new DataView(Uint8Array.from(atob(value[WIRE]), (sign) => sign.charCodeAt(0)).buffer);
}

const unpackedState = (state) => Object.fromEntries(Object.entries(state).map(([name, value]) => [name, unpacked(value)]));

/** Draw the state that lies in this page: what a page of its own does when it opens. */
function revive(draw) {
  const state = JSON.parse(document.getElementById("lens-state").textContent);
  const el = make("div");
  document.querySelector("main").append(el);
  draw({ model: ownModel(unpackedState(state)), el });
}

const PAGE_POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";
const PAGE_STYLE = `
html { background: #ffffff }
html[data-lens-theme="dark"] { background: #111315 }
body { max-width: 1280px; margin: 24px auto; padding: 0 24px }`;

/** One file that shows the picture, and what the pointer reads, without a network. */
function htmlOf(title, state, script, style) {
  const page = document.implementation.createHTMLDocument(title);
  const meta = (attributes) => page.head.append(make("meta", attributes));
  const safe = JSON.stringify(state).replaceAll("<", "\\u003c");
  page.documentElement.lang = "en";
  meta({ "http-equiv": "Content-Security-Policy", content: PAGE_POLICY });
  meta({ name: "viewport", content: "width=device-width, initial-scale=1" });
  meta({ name: "generator", content: "lens" });
  page.head.prepend(make("meta", { charset: "utf-8" }));
  page.head.append(make("style", {}, PAGE_STYLE + style));
  const live = script.replace(/export default \{ initialize, render \};\s*$/, "revive(render);\n");
  page.body.append(make("main"), make("script", { type: "application/json", id: "lens-state" }, safe));
  page.body.append(make("script", { type: "module" }, live));
  return `<!doctype html>\n${page.documentElement.outerHTML}\n`;
}

// ---------------------------------------------------------------- the menu

/** Letters, digits and hyphens, as file names go. */
function slug(text, most = 48) {
  const plain = text.normalize("NFKD").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  return plain.length <= most ? plain : plain.slice(0, most + 1).replace(/-[^-]*$/, "").slice(0, most);
}

/** `about` of a picture whose `spec` is all that it shows; its numbers are one table, `{ columns, rows }` of the spec. */
const ofSpec = (model, draw, hint, numbers, words = ({ title, note }) => `${title}. ${note ?? ""}`.trim()) => ({
  draw,
  title: () => model.get("spec").title ?? "",
  words: () => words(model.get("spec")),
  traits: ["spec"],
  tables: () => [{ hint, ...numbers(model.get("spec")) }],
});

/** What is saved, under a name that says what it is. */
function makings(model, root, { draw, title, words, traits, tables }) {
  const stem = model.get("stem") || "lens-";
  const heading = () => title() || "Figure";
  const base = stem.endsWith("-") ? stem + (slug(title()) || "figure") : stem;
  const state = () => Object.fromEntries(traits.map((name) => [name, model.get(name)]));
  const drawn = () => onPaper(draw, { ...state(), busy: false }, root.clientWidth, (node) => traceSvg(node, heading(), words()));
  const page = () => {
    const kept = Object.fromEntries(Object.entries(state()).map(([name, value]) => [name, packed(value)]));
    return htmlOf(heading(), { ...kept, busy: false, stem }, model.get("_esm"), model.get("_css"));
  };
  const blob = (type, text) => new Blob([text], { type: `${type};charset=utf-8` });
  const pictures = [
    { kind: "SVG", hint: "drawing for a paper", name: `${base}.svg`, make: async () => blob("image/svg+xml", (await drawn()).text) },
    { kind: "PNG", hint: "picture for slides", name: `${base}.png`, make: async () => pngOf(await drawn()) },
  ];
  if (model.get("_esm")) pictures.push({ kind: "HTML", hint: "page that answers the pointer", name: `${base}.html`, make: () => blob("text/html", page()) });
  const numbers = tables().map(({ name, hint, ...table }) => ({
    ...{ kind: "CSV", hint, name: `${base}${name ? `-${name}` : ""}.csv` },
    make: () => blob("text/csv", csvOf(table)),
  }));
  return [...pictures, ...numbers];
}

/** Below the anchor, its right edge under the anchor's, or above it where there is no room. */
function placeUnder(node, anchor) {
  const { width, height } = node.getBoundingClientRect();
  const below = anchor.bottom + 4;
  node.style.left = `${Math.max(8, anchor.right - width)}px`;
  node.style.top = `${below + height + 8 > innerHeight ? Math.max(8, anchor.top - 4 - height) : below}px`;
}

/**
 * A quiet button with a menu of what can be saved of this picture.
 *
 * `about` is `{ draw, title(), words(), traits, tables() }`: the widget's own `render`, which draws the copy that goes
 * onto paper, its heading, what it shows in a sentence, what a copy needs, and its numbers as `{ name, hint, columns, rows }`, one observation a row. `hide` puts the button away while there is
 * nothing to save.
 */
function takeAway(life, model, root, about) {
  const button = makeButton({ class: "lens-take-button", "aria-haspopup": "menu", "aria-label": "Save this figure", title: "Save" });
  const menu = make("div", { class: "lens-take-menu", role: "menu", "aria-label": "Save as", popover: "manual" });
  const said = make("div", { class: "lens-hidden", role: "status" });
  const node = make("div", { class: "lens-take" }, button, menu, said);
  button.append(icon("save"));

  const isOpen = () => menu.matches(":popover-open");

  function toggle(open, focus = true) {
    if (open === isOpen()) return;
    menu.togglePopover(open); // above everything: whatever holds the widget may cut what stands out of it
    setAttributes(button, { "aria-expanded": String(open) });
    setText(said, "");
    if (!open) return focus && button.focus({ preventScroll: true });
    menu.replaceChildren(...makings(model, root, about).map(entry));
    placeUnder(menu, button.getBoundingClientRect());
    menu.firstChild.focus({ preventScroll: true });
  }

  function entry(making) {
    const item = makeButton({ role: "menuitem", tabindex: -1, class: "lens-take-item", title: making.name });
    item.append(make("strong", {}, making.kind), make("span", {}, making.hint));
    item.addEventListener("click", () => save(making));
    item.addEventListener("pointerenter", () => item.focus({ preventScroll: true })); // one is lit, by hand or by key
    return item;
  }

  async function save({ name, kind, make: made }) {
    toggle(false);
    try {
      download(name, await made());
      setText(said, `Saved ${name}`);
    } catch (error) {
      toggle(true);
      menu.append(make("div", { class: "lens-take-failed", role: "alert" }, `This picture can't be saved as ${kind}: ${error.message}.`));
    }
  }

  life.listen(button, "click", () => toggle(!isOpen()));
  life.listen(button, "keydown", (event) => {
    if (event.key !== "ArrowDown" || isOpen()) return;
    event.preventDefault();
    toggle(true);
  });
  life.listen(menu, "keydown", (event) => {
    const items = [...menu.querySelectorAll("[role=menuitem]")];
    const at = items.indexOf(event.target.closest("[role=menuitem]"));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") toggle(false);
    if (to !== undefined) items.at(to % items.length).focus();
    if (to === undefined && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
  });
  life.listen(document, "pointerdown", (event) => {
    if (!node.contains(event.target)) toggle(false, false);
  });
  const follow = () => isOpen() && placeUnder(menu, button.getBoundingClientRect()); // JupyterLab scrolls to what is clicked
  for (const type of ["scroll", "resize"]) life.listen(window, type, follow, { capture: true, passive: true });
  /** For tests and the curious. */
  root.lensTake = () => makings(model, root, about);
  return { node, hide: (nothing) => (node.hidden = nothing) };
}
