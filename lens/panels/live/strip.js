// The plan as a row of tiles. A place in it is a path: [3] is the fourth item, [3, 1] the second inside that.
// Every edit makes a new tree and sends it; Python answers with the plan as it now is, or says why it cannot be.

const PART_CYCLE = [null, "attn", "ffn", "ln"];
const copyOf = (items) => structuredClone(items);
const inside = (item) => item.items;
const pathOf = (node) => node.dataset.path.split(".").map(Number);
const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);

const listAt = (items, path) => path.slice(0, -1).reduce((list, place) => list[place].items, items);
const itemAt = (items, path) => listAt(items, path)[path.at(-1)];

/** Blocks that run somewhere in the tree. */
function blocksIn(items) {
  return items.flatMap((item) => (item.kind === "block" ? [item.block] : inside(item) ? blocksIn(inside(item)) : []));
}

/** The layer before an item and the layer behind it, as a jump across it needs them. */
function spanOf(item) {
  if (item.kind === "jump") return [item.source, item.target];
  if (item.kind === "block") return [item.block, item.block + 1];
  const spans = inside(item).map(spanOf);
  return [Math.min(...spans.map(([low]) => low)), Math.max(...spans.map(([, high]) => high))];
}

/** A box with nothing in it goes, and a parallel box with one item stays: it may loop. */
function tidy(items) {
  return items
    .map((item) => (inside(item) ? { ...item, items: tidy(inside(item)) } : item))
    .filter((item) => !inside(item) || inside(item).length > 0);
}

function describe(item) {
  const times = item.times > 1 ? `, ${item.times} times` : "";
  if (item.kind === "block") return `block ${item.block}${item.part ? `, ${item.part} linear` : ""}${times}`;
  if (item.kind === "jump") return `jump by ${item.cast} from layer ${item.source} to layer ${item.target}`;
  const what = inside(item).map(describe).join("; ");
  return `${item.kind === "parallel" ? `parallel, ${item.combine}` : "in a row"}${times}: ${what}`;
}

function joined(item) {
  const scale = item.scale && item.scale !== 1 ? ` × ${item.scale}` : "";
  const how = item.kind === "parallel" ? `${item.combine}${scale}` : "in a row";
  return item.times > 1 ? `${how}, ×${item.times}` : how;
}

// ---------------------------------------------------------------- drawing

/** What stands at a path: to be taken in hand, or only to be looked at. */
function handle(item, path, context, look) {
  if (context.still) return make("div", { ...look, title: describe(item) });
  return makeButton({
    ...look,
    role: "option",
    "data-path": path.join("."),
    "aria-label": describe(item),
    "aria-selected": String(context.isSelected(path)),
    tabindex: same(path, context.focus) ? 0 : -1,
  });
}

function tile(item, path, context) {
  if (inside(item)) return box(item, path, context);
  const label = item.kind === "jump" ? `${item.cast} ${item.source}→${item.target}` : String(item.block);
  const node = handle(item, path, context, {
    class: `lens-tile lens-tile-${item.kind}`,
    "data-block": item.kind === "block" ? item.block : null,
  });
  node.append(make("span", { class: "lens-tile-name" }, label));
  if (item.part) node.append(make("span", { class: "lens-tile-part" }, `~${item.part}`));
  if (item.times > 1) node.append(make("span", { class: "lens-tile-times" }, `×${item.times}`));
  if (item.kind === "block") {
    const style = shade(context.ramp, context.count > 1 ? (item.block / (context.count - 1)) * 0.85 : 0);
    node.style.background = style.fill;
    node.style.color = style.text;
  }
  return node;
}

function box(item, path, context) {
  const head = handle(item, path, context, { class: "lens-box-head" });
  head.append(joined(item));
  const list = make("div", { class: "lens-box-items", "data-list": path.join("."), role: "presentation" });
  list.append(...inside(item).map((each, i) => tile(each, [...path, i], context)));
  return make("div", { class: `lens-box lens-box-${item.kind}`, role: "presentation" }, head, list);
}

/** A block that does not run: it can be put back by hand. */
function ghost(block, still) {
  const look = { class: "lens-tile lens-tile-ghost" };
  const said = `block ${block} does not run`;
  const node = still
    ? make("div", { ...look, title: said })
    : makeButton({ ...look, "data-restore": block, "aria-label": `${said}; put it back` });
  node.append(make("span", { class: "lens-tile-name" }, String(block)));
  return node;
}

/** The plan as typed, with the place of a mistake marked. */
function mistake(error) {
  if (!error?.message) return [];
  const words = make("div", { class: "lens-strip-error", role: "alert" }, icon("error"), make("span", {}, error.message));
  if (!error.text) return [words];
  const { text, start, end } = error;
  const marked = make("mark", {}, text.slice(start, end) || " ");
  return [words, make("code", { class: "lens-strip-marked" }, text.slice(0, start), marked, text.slice(end))];
}

// ---------------------------------------------------------------- what can be done

/** Each action: a name, a key, a title, and what it makes of the items and the chosen paths (null: not now). */
const ACTIONS = [
  ["Skip", "Delete", "Leave the chosen blocks out", (items, paths) => without(items, paths)],
  ["Duplicate", "d", "Run the chosen again right after", duplicated],
  ["Parallel", "p", "Run the chosen side by side on the same stream", boxed("parallel")],
  ["In a row", "g", "Group the chosen, to loop them together", boxed("group")],
  ["Loop −", "-", "One loop less", (items, paths) => looped(items, paths, -1)],
  ["Loop +", "+", "One loop more", (items, paths) => looped(items, paths, 1)],
  ["Mean / sum", "m", "How parallel branches are joined", rejoined],
  ["Linear", "l", "A part of each chosen block gives way to its linear map: attention, feed-forward, norms", linear],
  ["Jump", "j", "A linear map across the chosen blocks, in their place", jumped],
  ["Reverse", "r", "The chosen in the opposite order", reversed],
  ["Unbox", "u", "Take the chosen box apart", unboxed],
];

function siblings(paths) {
  return paths.length > 0 && paths.every((path) => same(path.slice(0, -1), paths[0].slice(0, -1)));
}

const inOrder = (paths) => [...paths].sort((a, b) => a.at(-1) - b.at(-1));

function without(items, paths) {
  if (!paths.length) return null;
  const next = copyOf(items);
  for (const path of paths) listAt(next, path)[path.at(-1)] = null;
  const drop = (list) => list.filter(Boolean).map((item) => (inside(item) ? { ...item, items: drop(inside(item)) } : item));
  return tidy(drop(next));
}

function duplicated(items, paths) {
  if (!siblings(paths)) return null;
  const next = copyOf(items);
  const order = inOrder(paths);
  const copies = order.map((path) => copyOf(itemAt(items, path)));
  listAt(next, order[0]).splice(order.at(-1).at(-1) + 1, 0, ...copies);
  return next;
}

function boxed(kind) {
  return (items, paths) => {
    if (!siblings(paths) || paths.length < 2) return null;
    const order = inOrder(paths);
    const members = order.map((path) => copyOf(itemAt(items, path)));
    const parallelInside = members.some((item) => item.kind === "parallel") || order[0].length > 1;
    if (kind === "parallel" && parallelInside) return null;
    const next = copyOf(items);
    const list = listAt(next, order[0]);
    const made = { kind, items: members, times: kind === "group" ? 2 : 1, combine: "mean", scale: 1 };
    list[order[0].at(-1)] = made;
    for (const path of order.slice(1)) list[path.at(-1)] = null;
    return next.map((item) => (item && inside(item) ? { ...item, items: inside(item).filter(Boolean) } : item)).filter(Boolean);
  };
}

function changed(items, paths, change) {
  if (!paths.length) return null;
  const next = copyOf(items);
  const done = paths.map((path) => change(itemAt(next, path)));
  return done.some(Boolean) ? next : null;
}

function looped(items, paths, by) {
  return changed(items, paths, (item) => {
    const times = (item.times ?? 1) + by;
    if (item.kind === "jump" || times < 1) return false;
    item.times = times;
    return true;
  });
}

function rejoined(items, paths) {
  return changed(items, paths, (item) => {
    if (item.kind !== "parallel") return false;
    item.combine = item.combine === "mean" ? "sum" : "mean";
    item.scale = 1;
    return true;
  });
}

function linear(items, paths) {
  return changed(items, paths, (item) => {
    if (item.kind !== "block") return false;
    item.part = PART_CYCLE[(PART_CYCLE.indexOf(item.part ?? null) + 1) % PART_CYCLE.length];
    return true;
  });
}

function jumped(items, paths) {
  if (!siblings(paths)) return null;
  const order = inOrder(paths);
  const spans = order.map((path) => spanOf(itemAt(items, path)));
  const jump = { kind: "jump", cast: "mat", source: Math.min(...spans.map(([low]) => low)), target: Math.max(...spans.map(([, high]) => high)) };
  const next = copyOf(items);
  listAt(next, order[0])[order[0].at(-1)] = jump;
  return order.length > 1 ? without(next, order.slice(1)) : next;
}

function reversed(items, paths) {
  if (!siblings(paths) || paths.length < 2) return null;
  const order = inOrder(paths);
  const next = copyOf(items);
  order.forEach((path, i) => (listAt(next, path)[path.at(-1)] = copyOf(itemAt(items, order[order.length - 1 - i]))));
  return next;
}

function unboxed(items, paths) {
  if (paths.length !== 1 || !inside(itemAt(items, paths[0]))) return null;
  const next = copyOf(items);
  listAt(next, paths[0]).splice(paths[0].at(-1), 1, ...inside(itemAt(items, paths[0])));
  return next;
}

/** Take the items at `paths` out and put them before place `at` of the list at `list`; null where that cannot be. */
function moved(items, paths, list, at) {
  if (paths.some((path) => list.length >= path.length && same(list.slice(0, path.length), path))) return null;
  const next = copyOf(items);
  const target = list.reduce((found, place) => found[place].items, next);
  const going = paths.map((path) => itemAt(next, path));
  for (const path of paths) listAt(next, path)[path.at(-1)] = null;
  target.splice(at, 0, ...going.map(copyOf));
  const drop = (each) => each.filter(Boolean).map((item) => (inside(item) ? { ...item, items: drop(inside(item)) } : item));
  return tidy(drop(next));
}

/** Where a block that was left out comes back: before the first later block in the row. */
function restored(items, block, at = null) {
  const next = copyOf(items);
  const later = next.findIndex((item) => spanOf(item)[0] > block);
  next.splice(at ?? (later < 0 ? next.length : later), 0, { kind: "block", block });
  return next;
}

// ---------------------------------------------------------------- the widget

function render({ model, el }) {
  const life = lifetime();
  const still = Boolean(model.isAlone); // nobody would answer an edit
  const root = mount(el, still ? "lens-strip lens-strip-still" : "lens-strip");
  const title = make("div", { class: "lens-panel-title", role: "heading", "aria-level": 2 }, "Assembly line");
  const mode = segmented(life, "What a click does", (value) => {
    clicks = value;
    draw();
  });
  const undo = makeButton({ class: "lens-button", title: "Ctrl+Z" });
  const redo = makeButton({ class: "lens-button", title: "Ctrl+Shift+Z" });
  undo.append("Undo");
  redo.append("Redo");
  const tools = make("div", { class: "lens-strip-tools", role: "toolbar", "aria-label": "What to do with the chosen" });
  for (const [name, key, title] of ACTIONS) {
    const button = makeButton({ class: "lens-button", "data-action": name, title: `${title} (${key})` });
    button.append(name);
    tools.append(button);
  }
  const order = { "aria-label": "What runs, in this order", ...(still ? { role: "img" } : { role: "listbox", "aria-multiselectable": "true", "data-list": "" }) };
  const row = make("div", { class: "lens-strip-row lens-picture", dir: "ltr", ...order });
  const tray = make("div", { class: "lens-strip-tray", role: "group", "aria-label": "Blocks that do not run" });
  const caret = make("div", { class: "lens-strip-caret", hidden: true });
  const input = make("input", { type: "text", class: "lens-strip-text", spellcheck: "false", autocomplete: "off", dir: "ltr", "aria-label": "The plan as text", ...OWN_KEYS });
  const errors = make("div", { class: "lens-strip-errors" });
  const facts = make("div", { class: "lens-note", "data-testid": "facts" });
  const hint = make("div", { class: "lens-note" });
  const save = takeAway(life, model, root, {
    draw: render,
    title: () => "Plan",
    words: () => `${model.get("text")}. ${model.get("facts")}`,
    traits: ["items", "text", "facts", "n_blocks"],
    tables: () => [],
  });
  const text = make("code", { class: "lens-strip-said", dir: "ltr" });
  const head = make("div", { class: "lens-panel-head" }, title, make("div", { class: "lens-strip-tools" }, ...(still ? [] : [mode.root, undo, redo]), save.node));
  const field = make(still ? "div" : "label", { class: "lens-strip-field" }, make("span", {}, "Plan"), still ? text : input);
  if (still) root.append(head, row, tray, field, errors, facts);
  else root.append(head, tools, row, tray, field, errors, facts, hint, caret);

  let items = [];
  let selected = [];
  let focus = [0];
  let clicks = "skip";
  let drag = null;
  let drawn = "";

  const isSelected = (path) => selected.some((each) => same(each, path));
  const chosen = () => (selected.length ? selected : []);

  function draw() {
    if (!root.clientWidth) return; // no colours to be read yet: drawn when it has a size
    drawTiles({ isSelected, focus, still, ramp: readPalette(root).ramps.model, count: model.get("n_blocks") });
    mode.show(
      [
        { value: "skip", label: "Click skips", title: "A click on a tile leaves it out" },
        { value: "select", label: "Click chooses", title: "A click on a tile chooses it for the buttons" },
      ],
      clicks,
    );
    for (const button of tools.children) {
      const action = ACTIONS.find(([name]) => name === button.dataset.action);
      button.disabled = !selected.length || action[3](items, chosen()) === null;
    }
    undo.disabled = !model.get("can_undo");
    redo.disabled = !model.get("can_redo");
    if (document.activeElement !== input) input.value = model.get("text");
    setText(text, model.get("text"));
    save.hide(!items.length || Boolean(model.get("error")?.message)); // the tiles may not be those of the text
    errors.replaceChildren(...mistake(model.get("error")));
    setText(facts, model.get("facts"));
    setText(hint, hintText());
    showBusy(root, model.get("busy"));
  }

  /** The row and the tray, only where they changed: a tile under a pressed pointer that is replaced loses its click. */
  function drawTiles(context) {
    const look = JSON.stringify([items, selected, context]);
    if (look === drawn) return;
    drawn = look;
    const had = row.contains(document.activeElement);
    row.replaceChildren(...items.map((item, i) => tile(item, [i], context)));
    if (!row.querySelector('[tabindex="0"]')) row.querySelector("[data-path]")?.setAttribute("tabindex", 0);
    if (had) row.querySelector('[tabindex="0"]')?.focus({ preventScroll: true });
    drawTray(context);
  }

  function hintText() {
    if (selected.length) return `${selected.length} chosen. Shift+click adds up to there; Escape lets go.`;
    if (clicks === "select") return "Click tiles to choose them. Drag to move. Shift+click chooses a run.";
    return "Click a tile to skip it, drag it to move it, Shift+click to choose several. Arrow keys walk, Alt+arrows move.";
  }

  function drawTray(context) {
    const here = new Set(blocksIn(items));
    const out = Array.from({ length: context.count }, (_, i) => i).filter((block) => !here.has(block));
    const ghosts = out.map((block) => ghost(block, still));
    tray.replaceChildren(make("span", { class: "lens-strip-tray-name" }, "Left out"), ...ghosts);
    tray.hidden = !out.length;
  }

  function take() {
    const next = copyOf(model.get("items"));
    if (JSON.stringify(next) !== JSON.stringify(items)) endDrag(); // what is in hand may not be there any more
    items = next;
    selected = [];
    if (focus.length > 1 || focus[0] >= items.length) focus = [Math.max(0, Math.min(focus[0], items.length - 1))];
    draw();
  }

  function commit(next) {
    if (next === null) return;
    items = next;
    selected = [];
    draw();
    model.send({ kind: "items", items: next });
  }

  function act(name) {
    const [, , , make] = ACTIONS.find(([each]) => each === name);
    commit(make(items, chosen().length ? chosen() : [focus]));
  }

  function toggle(path) {
    selected = isSelected(path) ? selected.filter((each) => !same(each, path)) : [...selected, path];
    if (!siblings(selected)) selected = [path]; // a choice is of neighbours in one row or box
  }

  function extend(to) {
    const parent = to.slice(0, -1);
    const from = selected.length && same(selected[0].slice(0, -1), parent) ? selected[0].at(-1) : focus.at(-1);
    const start = same(focus.slice(0, -1), parent) || selected.length ? from : to.at(-1);
    const [low, high] = [Math.min(start, to.at(-1)), Math.max(start, to.at(-1))];
    selected = Array.from({ length: high - low + 1 }, (_, i) => [...parent, low + i]);
    if (start > low) selected.reverse(); // the first stays the one that the choice began with
  }

  function press(path, event) {
    const item = itemAt(items, path);
    if (event.shiftKey) extend(path);
    else if (event.ctrlKey || event.metaKey || clicks === "select" || inside(item)) toggle(path);
    else {
      focus = path;
      commit(without(items, [path]));
      return;
    }
    focus = path;
    draw();
  }

  // ------------------------------------------------ pointer

  life.listen(root, "pointerdown", (event) => {
    const node = event.target.closest("[data-path], [data-restore]");
    if (!node || event.button !== 0) return;
    drag = { node, x: event.clientX, y: event.clientY, going: false, drop: null };
  });
  life.listen(window, "pointermove", (event) => {
    if (!drag) return;
    if (!drag.going && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < 6) return;
    drag.going = true;
    root.classList.add("lens-dragging");
    drag.node.classList.add("lens-dragged");
    drag.drop = dropAt(event.clientX, event.clientY);
    showCaret(drag.drop);
  });
  life.listen(window, "pointerup", (event) => {
    if (!drag) return;
    const { node, going, drop } = drag;
    endDrag();
    if (!going) return;
    event.preventDefault();
    suppressed = true; // the click that follows a drag is none
    setTimeout(() => (suppressed = false), 0);
    if (!drop) return;
    if (node.dataset.restore !== undefined) {
      if (!drop.list.length) commit(restored(items, Number(node.dataset.restore), drop.at));
      return;
    }
    const path = pathOf(node);
    commit(moved(items, isSelected(path) ? inOrder(selected) : [path], drop.list, drop.at));
  });
  let suppressed = false;

  function endDrag() {
    drag?.node.classList.remove("lens-dragged");
    root.classList.remove("lens-dragging");
    caret.hidden = true;
    drag = null;
  }

  /** The list under the pointer, and the place in it that is nearest. */
  function dropAt(x, y) {
    const under = document.elementsFromPoint(x, y).find((node) => node.closest?.("[data-list]") && root.contains(node));
    const list = under?.closest("[data-list]") ?? nearRow(x, y);
    if (!list) return null;
    const down = list.classList.contains("lens-box-items");
    const children = [...list.children];
    let best = { distance: Infinity, at: 0, rect: null, after: false };
    children.forEach((child, i) => {
      const rect = child.getBoundingClientRect();
      const [cx, cy] = [(rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2];
      const distance = Math.hypot(x - cx, (y - cy) * (down ? 1 : 3));
      const after = down ? y > cy : x > cx;
      if (distance < best.distance) best = { distance, at: i + Number(after), rect, after };
    });
    const path = list.dataset.list ? list.dataset.list.split(".").map(Number) : [];
    return { list: path, at: best.at, rect: best.rect, after: best.after, down };
  }

  function nearRow(x, y) {
    const rect = row.getBoundingClientRect();
    return x > rect.left - 30 && x < rect.right + 30 && y > rect.top - 30 && y < rect.bottom + 30 ? row : null;
  }

  function showCaret(drop) {
    caret.hidden = !drop?.rect;
    if (caret.hidden) return;
    const base = root.getBoundingClientRect();
    const { rect, after, down } = drop;
    caret.style.left = `${(down ? rect.left : after ? rect.right + 1 : rect.left - 4) - base.left}px`;
    caret.style.top = `${(down ? (after ? rect.bottom + 1 : rect.top - 4) : rect.top) - base.top}px`;
    caret.style.width = down ? `${rect.width}px` : "3px";
    caret.style.height = down ? "3px" : `${rect.height}px`;
  }

  life.listen(root, "click", (event) => {
    if (suppressed) return;
    const ghost = event.target.closest("[data-restore]");
    if (ghost) return commit(restored(items, Number(ghost.dataset.restore)));
    const node = event.target.closest("[data-path]");
    if (node) return press(pathOf(node), event);
    const action = event.target.closest("[data-action]");
    if (action) return act(action.dataset.action);
    if (event.target === undo) model.send({ kind: "undo" });
    if (event.target === redo) model.send({ kind: "redo" });
  });

  // ------------------------------------------------ keys

  life.listen(row, "keydown", (event) => {
    const tiles = [...row.querySelectorAll("[data-path]")];
    const here = tiles.indexOf(event.target.closest("[data-path]"));
    if (here < 0) return;
    const path = pathOf(tiles[here]);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && event.altKey) {
      const at = path.at(-1) + step;
      if (at >= 0 && at < listAt(items, path).length) {
        const next = copyOf(items);
        const list = listAt(next, path);
        [list[path.at(-1)], list[at]] = [list[at], list[path.at(-1)]];
        focus = [...path.slice(0, -1), at];
        commit(next);
      }
    } else if (step) {
      const to = tiles[Math.min(Math.max(here + step, 0), tiles.length - 1)];
      if (event.shiftKey) extend(pathOf(to));
      focus = pathOf(to);
      draw();
      row.querySelector('[tabindex="0"]')?.focus();
    } else if (event.key === "Home" || event.key === "End") {
      focus = pathOf(tiles.at(event.key === "Home" ? 0 : -1));
      draw();
      row.querySelector('[tabindex="0"]')?.focus();
    } else if (event.key === "Escape") {
      selected = [];
      draw();
    } else if (event.key === "Backspace") {
      act("Skip");
    } else {
      const action = ACTIONS.find(([, key]) => key === event.key || (key === "+" && event.key === "="));
      if (!action || event.ctrlKey || event.metaKey) return;
      focus = path;
      act(action[0]);
    }
    event.preventDefault();
  });
  life.listen(root, "keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.target === input) return;
    const key = event.key.toLowerCase();
    if (key !== "z" && key !== "y") return;
    event.preventDefault();
    model.send({ kind: key === "y" || event.shiftKey ? "redo" : "undo" });
  });
  life.listen(window, "keydown", (event) => {
    if (drag?.going && event.key === "Escape") endDrag();
  });
  const typed = debounce(life, () => model.send({ kind: "text", text: input.value }), 250);
  life.listen(input, "input", () => typed.schedule());
  life.listen(input, "blur", () => {
    if (typed.waiting()) typed.flush();
    else draw();
  });
  life.listen(input, "keydown", (event) => {
    if (event.key === "Enter") typed.flush();
  });

  const schedule = onceAFrame(life, draw);
  life.watch(model, ["reply", "n_blocks"], onceAFrame(life, take));
  life.watch(model, ["busy", "facts", "error", "text", "can_undo", "can_redo"], schedule);
  onResize(life, root, schedule);
  followTheme(life, schedule);
  take();
  return life.end;
}

export default { initialize, render };
