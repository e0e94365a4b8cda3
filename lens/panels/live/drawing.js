// A picture as SVG. What stands on the page is traced, so that each widget draws itself once, for the screen and for
// paper alike: boxes and words from where the browser put them, drawings as they are, canvases by their own painter.

const MARGIN = 16; // pixels around a picture
const round = (value) => Number(value.toFixed(2));

/** A computed colour as SVG tools know it: `{ colour, alpha }`; null for what cannot be seen. */
function ink(text) {
  const [red, green, blue, alpha = 1] = (text.match(/^rgba?\(([^)]*)\)$/)?.[1].match(/[\d.]+/g) ?? []).map(Number);
  if (blue === undefined) return text && text !== "none" && text !== "transparent" ? { colour: text, alpha: 1 } : null;
  const hex = [red, green, blue].map((channel) => Math.round(channel).toString(16).padStart(2, "0")).join("");
  return alpha > 0 ? { colour: `#${hex}`, alpha } : null;
}

/** The attributes that paint with a colour. */
function inked(name, text) {
  const found = ink(text);
  return found ? { [name]: found.colour, [`${name}-opacity`]: found.alpha < 1 ? found.alpha : null } : { [name]: "none" };
}

const familyKey = (family) => family.replace(/["'\s]/g, "");

/** The attributes of a font, of which the family stands once for the whole picture. */
function fontOf(size, weight, family, common) {
  const own = familyKey(family) === familyKey(common) ? null : family;
  return { "font-size": size, "font-weight": weight === "400" || weight === "normal" ? null : weight, "font-family": own };
}

const ruler = () => (ruler.context ??= make("canvas").getContext("2d"));

/** How far the letters of a font reach above a line through them. */
function ascent(font, baseline = "alphabetic") {
  const context = ruler();
  context.font = font;
  context.textBaseline = baseline;
  return context.measureText("x").fontBoundingBoxAscent;
}

// ---------------------------------------------------------------- a canvas's pen

const PEN = { fillStyle: "#000000", strokeStyle: "#000000", lineWidth: 1, font: "10px sans-serif", textAlign: "start" };
const SETTINGS = { ...PEN, textBaseline: "alphabetic", globalAlpha: 1 };
const ANCHORS = { right: "end", end: "end", center: "middle" };

/** What our painters ask of a canvas, noted down as SVG in `group`; `family` is the font of the whole picture. */
function svgPen(group, family, name) {
  const kept = [];
  let state = { matrix: new DOMMatrix(), dash: null, clip: null };
  let path = "";
  let clips = 0;
  const change = (part) => (state = { ...state, ...part });
  const add = (tag, attributes, ...children) => {
    const transform = state.matrix.isIdentity ? null : state.matrix.toString();
    const opacity = pen.globalAlpha < 1 ? pen.globalAlpha : null;
    group.append(makeSvg(tag, { ...attributes, opacity, transform, "clip-path": state.clip }, ...children));
  };
  const stroke = () => ({
    fill: "none",
    ...inked("stroke", pen.strokeStyle),
    "stroke-width": pen.lineWidth,
    "stroke-dasharray": state.dash,
  });
  const box = (x, y, width, height) => ({ x: round(x), y: round(y), width: round(width), height: round(height) });
  const go = (letter) => (x, y) => (path += `${letter}${round(x)} ${round(y)}`);
  const pen = {
    ...SETTINGS,
    save: () => kept.push({ state, settings: Object.fromEntries(Object.keys(SETTINGS).map((key) => [key, pen[key]])) }),
    restore: () => {
      const last = kept.pop();
      state = last.state;
      Object.assign(pen, last.settings);
    },
    setTransform: (...six) => change({ matrix: new DOMMatrix(six) }),
    scale: (x, y) => change({ matrix: state.matrix.scale(x, y) }),
    translate: (x, y) => change({ matrix: state.matrix.translate(x, y) }),
    rotate: (angle) => change({ matrix: state.matrix.rotate((angle * 180) / Math.PI) }),
    setLineDash: (dash) => change({ dash: dash.length ? dash.join(" ") : null }),
    clearRect: () => {}, // the paper is blank
    beginPath: () => (path = ""),
    moveTo: go("M"),
    lineTo: go("L"),
    closePath: () => (path += "Z"),
    roundRect: (x, y, width, height, r) => (path += roundedPath(x, y, width, height, r)),
    fill: () => add("path", { d: path, ...inked("fill", pen.fillStyle) }),
    stroke: () => add("path", { d: path, ...stroke() }),
    fillRect: (...at) => add("rect", { ...box(...at), ...inked("fill", pen.fillStyle) }),
    strokeRect: (...at) => add("rect", { ...box(...at), ...stroke() }),
    clip: () => {
      const id = `${name}-clip-${(clips += 1)}`;
      group.append(makeSvg("clipPath", { id }, makeSvg("path", { d: path })));
      change({ clip: `url(#${id})` });
    },
    measureText: (text) => {
      ruler().font = pen.font;
      return ruler().measureText(text);
    },
    fillText: (text, x, y) => {
      const down = ascent(pen.font) - ascent(pen.font, pen.textBaseline); // a baseline that every tool knows
      const [, weight = "400", size, own] = pen.font.match(/^(?:(\w+) )?([\d.]+)px (.*)$/) ?? [null, "400", "12", family];
      const anchor = ANCHORS[pen.textAlign] ?? null;
      const font = { ...fontOf(size, weight, own, family), ...inked("fill", pen.fillStyle) };
      add("text", { x: round(x), y: round(y + down), "text-anchor": anchor, ...font, ...PRESERVE }, text);
    },
  };
  return pen;
}

const PRESERVE = { "xml:space": "preserve" };

function roundedPath(x, y, width, height, radius) {
  const r = Math.max(0, Math.min(radius, width / 2, height / 2));
  const arc = (dx, dy) => `a${r} ${r} 0 0 1 ${dx} ${dy}`;
  const across = round(width - 2 * r);
  const down = round(height - 2 * r);
  return `M${round(x + r)} ${round(y)}h${across}${arc(r, r)}v${down}${arc(-r, r)}h${-across}${arc(-r, -r)}v${-down}${arc(r, -r)}Z`;
}

// ---------------------------------------------------------------- boxes

/** Background and border of an element. */
function traceBox(node, style, at) {
  const { left, top, width, height } = at(node.getBoundingClientRect());
  const radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0, width / 2, height / 2);
  const nodes = [];
  const gradient = style.backgroundImage.match(/^linear-gradient\(90deg, (.*)\)$/)?.[1].match(/rgba?\([^)]*\)/g);
  const fill = gradient ? null : ink(style.backgroundColor);
  const box = { x: round(left), y: round(top), width: round(width), height: round(height), rx: radius || null };
  if (gradient) {
    const id = `lens-ramp-${(traceBox.count = (traceBox.count ?? 0) + 1)}`;
    const stops = gradient.map((stop, i) => makeSvg("stop", { offset: i / (gradient.length - 1), "stop-color": ink(stop).colour }));
    nodes.push(makeSvg("linearGradient", { id }, ...stops), makeSvg("rect", { ...box, fill: `url(#${id})` }));
  } else if (fill && width && height) {
    nodes.push(makeSvg("rect", { ...box, ...inked("fill", style.backgroundColor) }));
  }
  return [...nodes, ...traceBorder(style, box, radius)];
}

const SIDES = { Top: [0, 0, 1, 0], Right: [1, 0, 1, 1], Bottom: [0, 1, 1, 1], Left: [0, 0, 0, 1] };

/** A border that is alike all round is one box; else each side is a line. */
function traceBorder(style, box, radius) {
  const of = (side) => {
    const [width, line, colour] = ["Width", "Style", "Color"].map((what) => style[`border${side}${what}`]);
    const size = parseFloat(width);
    if (!size || line === "none" || line === "hidden" || !ink(colour)) return null;
    const dash = { dashed: `${3 * size} ${2 * size}`, dotted: `${size} ${size}` }[line] ?? null;
    return { ...inked("stroke", colour), "stroke-width": size, "stroke-dasharray": dash, fill: "none" };
  };
  const sides = Object.keys(SIDES).map(of);
  const { x, y, width, height } = box;
  if (sides.every((side) => side && JSON.stringify(side) === JSON.stringify(sides[0]))) {
    const half = sides[0]["stroke-width"] / 2;
    const inner = { x: x + half, y: y + half, width: width - 2 * half, height: height - 2 * half, rx: Math.max(0, radius - half) };
    return [makeSvg("rect", { ...inner, ...sides[0] })];
  }
  return Object.entries(SIDES).flatMap(([, [x1, y1, x2, y2]], i) => {
    if (!sides[i]) return [];
    const half = sides[i]["stroke-width"] / 2;
    const inward = [x1 === x2 ? (x1 ? -half : half) : 0, y1 === y2 ? (y1 ? -half : half) : 0];
    const ends = { x1: x + x1 * width + inward[0], x2: x + x2 * width + inward[0] };
    return [makeSvg("line", { ...ends, y1: y + y1 * height + inward[1], y2: y + y2 * height + inward[1], ...sides[i] })];
  });
}

// ---------------------------------------------------------------- words

const signsOf = (text) => Array.from(new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text));

/** A text node as the lines that it was broken into: `{ text, box }`. */
function linesOf(node, style) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter((box) => box.width);
  if (!boxes.length) return [];
  const kept = style.whiteSpaceCollapse === "preserve" || style.whiteSpace.startsWith("pre");
  const tidied = (text) => (kept ? text : text.replace(/\s+/g, " "));
  const middle = (box) => (box.top + box.bottom) / 2;
  const alone = boxes.every((box) => Math.abs(middle(box) - middle(boxes[0])) < boxes[0].height / 2);
  if (alone) return [{ text: tidied(node.data), box: around(boxes) }];
  const lines = [];
  for (const { segment, index } of signsOf(node.data)) {
    range.setStart(node, index);
    range.setEnd(node, index + segment.length);
    const box = range.getBoundingClientRect();
    if (!box.width) continue;
    const last = lines.at(-1);
    if (last && Math.abs(middle(box) - middle(last.boxes[0])) < box.height / 2) {
      last.text += segment;
      last.boxes.push(box);
    } else lines.push({ text: segment, boxes: [box] });
  }
  return lines.map(({ text, boxes: parts }) => ({ text: tidied(text), box: around(parts) }));
}

function around(boxes) {
  const left = Math.min(...boxes.map((box) => box.left));
  const top = Math.min(...boxes.map((box) => box.top));
  const right = Math.max(...boxes.map((box) => box.right));
  return new DOMRect(left, top, right - left, Math.max(...boxes.map((box) => box.bottom)) - top);
}

/** Where words end that have no room, in pixels of the window; Infinity where there is. */
function limitOf(node, root) {
  for (let parent = node.parentElement; parent && root.contains(parent); parent = parent.parentElement) {
    const style = getComputedStyle(parent);
    if (style.position === "absolute") break; // it has a place of its own
    if (!["hidden", "clip"].includes(style.overflowX) || parent.scrollWidth <= parent.clientWidth) continue;
    return parent.getBoundingClientRect().right - parseFloat(style.paddingRight);
  }
  return Infinity;
}

function shortened(line, limit, font) {
  if (line.box.right <= limit + 0.5) return line.text;
  const context = ruler();
  context.font = font;
  const signs = signsOf(line.text).map((part) => part.segment);
  while (signs.length && line.box.left + context.measureText(`${signs.join("")}…`).width > limit) signs.pop();
  return line.box.left < limit ? `${signs.join("")}…` : "";
}

function decorationOf(node, root) {
  for (let parent = node.parentElement; parent && root.contains(parent); parent = parent.parentElement) {
    const style = getComputedStyle(parent);
    if (style.textDecorationLine !== "none") return `${style.textDecorationLine} ${style.textDecorationStyle}`;
  }
  return null;
}

function traceText(node, { root, at, family }) {
  const style = getComputedStyle(node.parentElement);
  const font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const backwards = style.direction === "rtl";
  const align = style.textAlign.replace("-webkit-", "");
  const anchor = backwards ? "start" : (ANCHORS[align] ?? "start");
  const limit = limitOf(node, root);
  return linesOf(node, style).flatMap((line) => {
    const text = shortened(line, limit, font);
    if (!text.trim()) return [];
    const { left, top, width } = at(line.box);
    const x = { start: backwards ? left + width : left, middle: left + width / 2, end: left + width }[anchor];
    const place = { x: round(x), y: round(top + ascent(font)), "text-anchor": anchor === "start" ? null : anchor };
    const look = { ...fontOf(parseFloat(style.fontSize), style.fontWeight, style.fontFamily, family), ...inked("fill", style.color) };
    const drawn = makeSvg("text", { ...place, ...look, direction: backwards ? "rtl" : null, ...PRESERVE }, text);
    setAttributes(drawn, { "text-decoration": decorationOf(node, root) });
    return [drawn];
  });
}

// ---------------------------------------------------------------- drawings

const INITIAL = {
  fill: "rgb(0, 0, 0)",
  stroke: "none",
  "stroke-width": "1px",
  "stroke-dasharray": "none",
  "stroke-linecap": "butt",
  "stroke-linejoin": "miter",
  "text-anchor": "start",
  "font-size": null,
};

/** A drawing of the page with its style written out. */
function traceDrawing(svg, { at }) {
  const { left, top, width } = at(svg.getBoundingClientRect());
  const view = svg.viewBox.baseVal;
  const scale = view?.width ? width / view.width : 1;
  const group = makeSvg("g", { transform: `translate(${round(left)} ${round(top)})${scale === 1 ? "" : ` scale(${scale})`}` });
  for (const child of svg.children) group.append(written(child));
  return [group];
}

function written(node) {
  const copy = makeSvg(node.localName);
  for (const { name, value } of node.attributes) if (!/^(class|style|role|tabindex|aria-|data-)/.test(name)) copy.setAttribute(name, value);
  const style = getComputedStyle(node);
  if (style.opacity !== "1") copy.setAttribute("opacity", style.opacity);
  if (node.localName !== "g") {
    for (const [name, initial] of Object.entries(INITIAL)) {
      const value = style.getPropertyValue(name);
      if (value === initial || (name === "font-size" && node.localName !== "text")) continue;
      const colours = name === "fill" || name === "stroke";
      setAttributes(copy, colours ? inked(name, value) : { [name]: value.replaceAll("px", "") });
    }
  }
  copy.append(...Array.from(node.childNodes, (child) => (child.nodeType === Node.TEXT_NODE ? child.data : written(child))));
  return copy;
}

/** A canvas says how it is painted in `lensPaint(pen)`. */
function traceCanvas(canvas, { at, family }) {
  const { left, top } = at(canvas.getBoundingClientRect());
  const group = makeSvg("g", { transform: `translate(${round(left)} ${round(top)})` });
  const name = `lens-canvas-${(traceCanvas.count = (traceCanvas.count ?? 0) + 1)}`;
  canvas.lensPaint?.(svgPen(group, family, name));
  return [group];
}

// ---------------------------------------------------------------- the whole

function traceElement(node, context) {
  const style = getComputedStyle(node);
  if (style.display === "none" || style.visibility === "hidden" || node.classList.contains("lens-hidden")) return [];
  const box = node.getBoundingClientRect();
  if (!box.width && !box.height) return [];
  const found = node.localName === "svg" ? traceDrawing(node, context) : traceInside(node, style, context);
  if (style.opacity === "1" || !found.length) return found;
  return [makeSvg("g", { opacity: style.opacity }, ...found)];
}

function traceInside(node, style, context) {
  if (node.localName === "canvas") return traceCanvas(node, context);
  const children = Array.from(node.childNodes).flatMap((child) => {
    if (child.nodeType === Node.TEXT_NODE) return traceText(child, context);
    return child.nodeType === Node.ELEMENT_NODE ? traceElement(child, context) : [];
  });
  return [...(style.display === "contents" ? [] : traceBox(node, style, context.at)), ...children];
}

const isSolid = (style) => ink(style.backgroundColor) || Object.keys(SIDES).some((side) => parseFloat(style[`border${side}Width`]) && ink(style[`border${side}Color`]));

/** How far to the right anything stands, so that no figure has an empty side. */
function rightmost(root) {
  const range = document.createRange();
  const ends = Array.from(root.querySelectorAll("*"), (node) => {
    const solid = ["svg", "canvas"].includes(node.localName) || isSolid(getComputedStyle(node));
    if (!solid && node.children.length) return -Infinity; // as far as what is in it
    if (!solid) range.selectNodeContents(node);
    const box = (solid ? node : range).getBoundingClientRect();
    return box.width ? box.right : -Infinity; // what is hidden stands nowhere
  });
  return Math.min(root.getBoundingClientRect().right, Math.max(...ends));
}

/** What stands in `root` as an SVG of its own: `{ text, width, height }`. */
function traceSvg(root, title, words) {
  traceBox.count = traceCanvas.count = 0;
  const edge = root.getBoundingClientRect();
  const family = getComputedStyle(root).fontFamily;
  const at = ({ left, top, width, height }) => ({ left: left - edge.left + MARGIN, top: top - edge.top + MARGIN, width, height });
  const drawn = traceElement(root, { root, at, family });
  const [width, height] = [rightmost(root) - edge.left, edge.height].map((size) => Math.ceil(size + 2 * MARGIN));
  const svg = makeSvg("svg", {
    ...{ width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "lens-title lens-words" },
    "font-family": family,
  });
  svg.style.fontVariantNumeric = "tabular-nums";
  svg.append(makeSvg("title", { id: "lens-title" }, title), makeSvg("desc", { id: "lens-words" }, words));
  svg.append(makeSvg("rect", { width, height, fill: "#ffffff" }), ...drawn);
  return { text: wellFormed(new XMLSerializer().serializeToString(svg)), width, height };
}

/** Signs that no XML may hold are shown as what they are: unknown. */
const wellFormed = (xml) => xml.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
