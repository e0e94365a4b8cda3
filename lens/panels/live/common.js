// What every live widget shares. It is joined in front of each widget's own script, so it exports nothing.
// Data reaches the page only through text nodes and attributes, never as markup.

/** Make an element. Attributes that are null or false are left out; string children become text. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  node.append(...children.filter((child) => child !== null));
  return node;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element; string children become text. */
function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  setAttributes(node, attributes);
  node.append(...children);
  return node;
}

/** Write text only where it differs, so that a selection or a screen reader is not disturbed. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Jupyter takes single keys on whatever has the focus ("b" makes a cell) unless the node itself forbids it.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** Give a file to whoever sits before the screen. */
function download(name, blob) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const makeButton = (attributes) => make("button", { type: "button", ...OWN_KEYS, ...attributes });

/** The widget's own root inside anywidget's element. */
function mount(el, name) {
  el.classList.add("lens-live");
  const root = make("div", { class: name });
  el.replaceChildren(root);
  return root;
}

const ICONS = {
  check: "M3.5 8.5 6.5 11.5 12.5 4.5",
  error: "M8 4.5v4.25M8 11.4v.1M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5",
  save: "M8 2.5v7.25M4.75 6.75 8 10l3.25-3.25M2.75 13.25h10.5",
  info: "M8 7.25v4.25M8 4.6v.1M8 1.75a6.25 6.25 0 1 0 0 12.5a6.25 6.25 0 1 0 0-12.5",
};

/** A small line drawing; its meaning is said in words beside it. */
function icon(name) {
  const drawn = makeSvg("path", { d: ICONS[name] });
  return makeSvg("svg", { class: "lens-icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, drawn);
}

// ---------------------------------------------------------------- scripts that load late

const NOTHING = { content: { data: { method: "nothing" } } };

/**
 * anywidget gives a script two seconds to load. One that takes longer, on a busy machine, is drawn all the same, but
 * every message to its widget is refused from then on, so that it never follows its kernel again. When our script has
 * come late, its widget is made to hear as widgets of ipywidgets do, and asks for what it has missed.
 */
function initialize({ model }) {
  const widget = model.set({}); // what a script is given is only a part of it
  widget?._handle_comm_msg?.(NOTHING).catch(() => hearAgain(widget));
}

function hearAgain(widget) {
  const own = Object.getPrototypeOf(Object.getPrototypeOf(widget))._handle_comm_msg;
  widget._handle_comm_msg = own;
  widget.comm?.on_msg(own.bind(widget));
  widget.comm?.send({ method: "request_state" });
}

// ---------------------------------------------------------------- life and time

/** Everything begun for one view, to be ended together when the view goes. */
function lifetime() {
  const controller = new AbortController();
  const undoings = [];
  return {
    listen(target, type, handler, options = {}) {
      target.addEventListener(type, handler, { ...options, signal: controller.signal });
    },
    watch(model, names, handler) {
      for (const name of names) {
        model.on(`change:${name}`, handler);
        undoings.push(() => model.off(`change:${name}`, handler));
      }
    },
    undo(action) {
      undoings.push(action);
    },
    end() {
      controller.abort();
      for (const action of undoings.splice(0)) action();
    },
  };
}

/** A function that asks for one call of `draw` before the next paint, however often it is called. */
function onceAFrame(life, draw) {
  let pending = 0;
  life.undo(() => cancelAnimationFrame(pending));
  return () => {
    pending ||= requestAnimationFrame(() => {
      pending = 0;
      draw();
    });
  };
}

function debounce(life, action, wait) {
  let timer = 0;
  const cancel = () => {
    clearTimeout(timer);
    timer = 0;
  };
  life.undo(cancel);
  return {
    schedule() {
      cancel();
      timer = setTimeout(() => {
        timer = 0;
        action();
      }, wait);
    },
    flush() {
      cancel();
      action();
    },
    cancel,
    waiting: () => timer !== 0,
  };
}

/** Call `handler` with each new size of the node: also when it first comes onto the page. */
function onResize(life, node, handler) {
  const observer = new ResizeObserver(handler);
  observer.observe(node);
  life.undo(() => observer.disconnect());
}

/** The style does the dimming, after a short wait, so that a quick answer shows no flicker. */
function showBusy(root, busy) {
  root.classList.toggle("lens-busy", busy);
  root.setAttribute("aria-busy", String(busy));
}

// ---------------------------------------------------------------- colour and theme

/** Red, green, blue of any CSS colour, each 0…255; null where it is none. */
function parseColour(text) {
  const context = make("canvas", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
  return text && alpha > 0 ? [red, green, blue] : null;
}

/** WCAG relative luminance. */
function luminance(rgb) {
  const [red, green, blue] = rgb.map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Keep `data-lens-theme` on the document in step with Jupyter's ground colour, else with the system. */
function followTheme(life, redraw = () => {}) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let known = "";
  const look = onceAFrame(life, () => {
    const ground = getComputedStyle(document.body).getPropertyValue("--jp-layout-color0").trim();
    const rgb = parseColour(ground);
    const theme = (rgb ? luminance(rgb) < 0.3 : system.matches) ? "dark" : "light";
    setAttributes(document.documentElement, { "data-lens-theme": theme });
    if (known !== theme + ground) redraw();
    known = theme + ground;
  });
  const observer = new MutationObserver(look);
  const attributeFilter = ["class", "style", "data-jp-theme-name", "data-jp-theme-light"];
  for (const node of [document.documentElement, document.body]) observer.observe(node, { attributeFilter });
  life.undo(() => observer.disconnect());
  life.listen(system, "change", look);
  life.listen(document, "load", look, { capture: true }); // a theme's stylesheet has come
  look();
}

/** The colours of the style sheet, as a canvas needs them. */
function readPalette(root) {
  const style = getComputedStyle(root.closest(".lens-live"));
  const colour = (name) => style.getPropertyValue(`--lens-${name}`).trim();
  const ramp = (name) => colour(`ramp-${name}`).split(",").map((stop) => parseColour(stop.trim()));
  return {
    ground: style.backgroundColor,
    font: style.fontFamily,
    ink: colour("ink"),
    soft: colour("soft"),
    faint: colour("faint"),
    line: colour("line"),
    wash: colour("wash"),
    ramps: { id: ramp("id"), mat: ramp("mat"), model: ramp("model"), r2: ramp("r2") },
  };
}

/** The colour at `share` (0…1) along a ramp, and whichever of black and white reads better on it. */
function shade(ramp, share) {
  const place = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
  const below = Math.min(Math.floor(place), ramp.length - 2);
  const rgb = ramp[below].map((start, i) => Math.round(start + (ramp[below + 1][i] - start) * (place - below)));
  const light = luminance(rgb);
  return { fill: `rgb(${rgb})`, text: (light + 0.05) / 0.05 > 1.05 / (light + 0.05) ? "#05070a" : "#ffffff" };
}

/** `shade` for many cells: 256 steps, worked out once; null for what is no number. */
function shader(ramp) {
  const steps = Array.from({ length: 256 }, (_, i) => shade(ramp, i / 255));
  return (share) => (Number.isNaN(share) ? null : steps[Math.round(Math.min(Math.max(share, 0), 1) * 255)]);
}

const cssGradient = (ramp) => `linear-gradient(90deg, ${ramp.map((rgb) => `rgb(${rgb})`).join(", ")})`;

// ---------------------------------------------------------------- words and numbers

/** 42.1 %, 0.03 %: two digits that matter, the unit set off by a thin space. */
function percent(probability) {
  if (!Number.isFinite(probability)) return "–";
  const value = 100 * probability;
  if (value > 0 && value < 0.01) return "<\u202f0.01\u202f%";
  return `${value.toFixed(value < 1 ? 2 : 1)}\u202f%`;
}

const wholeNumber = (value) => Math.round(value).toLocaleString("en-US");

/** Signs that stand for a space, a line break, a tab, a special token: they are drawn fainter. */
const GLYPHS = /([␣↵⇥]+|⟨[^⟩]*⟩)/u;

const tokenParts = (label) =>
  label
    .split(GLYPHS)
    .map((text, i) => ({ text, glyph: i % 2 === 1 }))
    .filter((part) => part.text);

/** A token as a person reads it, in its own direction. */
function tokenText(label) {
  const draw = ({ text, glyph }) => (glyph ? make("span", { class: "lens-glyph" }, text) : text);
  return make("bdi", { class: "lens-token" }, ...tokenParts(label).map(draw));
}

// ---------------------------------------------------------------- shared parts

/** A few choices side by side, of which one holds: a radio group. */
function segmented(life, label, choose) {
  const root = make("div", { class: "lens-segments", role: "radiogroup", "aria-label": label });
  const pick = (button) => {
    choose(button.dataset.value);
    button.focus();
  };
  life.listen(root, "click", (event) => {
    const button = event.target.closest("button");
    if (button) pick(button);
  });
  life.listen(root, "keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...root.children];
    const place = buttons.findIndex((button) => button.tabIndex === 0);
    pick(buttons[(place + step + buttons.length) % buttons.length]);
  });
  return { root, show: (options, value) => showSegments(root, options, value) };
}

function showSegments(root, options, value) {
  while (root.children.length > options.length) root.lastChild.remove();
  while (root.children.length < options.length) root.append(makeButton({ role: "radio" }));
  options.forEach((option, i) => {
    const button = root.children[i];
    const chosen = option.value === value;
    setText(button, option.label);
    setAttributes(button, {
      "data-value": option.value,
      "aria-checked": String(chosen),
      tabindex: chosen ? 0 : -1,
      title: option.title,
    });
  });
}

/** A floating box beside what it explains. It lies on the body, where nothing clips it. */
function tooltip(life) {
  const node = make("div", { class: "lens-live lens-tooltip", "aria-hidden": "true", hidden: true });
  life.undo(() => node.remove());
  return {
    show(children, anchor) {
      if (!node.isConnected) document.body.append(node);
      node.replaceChildren(...children);
      node.hidden = false;
      placeBeside(node, anchor);
    },
    move: (anchor) => placeBeside(node, anchor),
    hide() {
      node.hidden = true;
    },
  };
}

/** To the right of the anchor, or to the left where there is no room, and always on the page. */
function placeBeside(node, anchor) {
  const gap = 10;
  const { width, height } = node.getBoundingClientRect();
  const right = anchor.right + gap;
  const left = right + width + gap > innerWidth ? anchor.left - gap - width : right;
  const top = (anchor.top + anchor.bottom - height) / 2;
  node.style.left = `${Math.max(gap, Math.min(left, innerWidth - width - gap))}px`;
  node.style.top = `${Math.max(gap, Math.min(top, innerHeight - height - gap))}px`;
}
