const QUIET = 300; // milliseconds without a change before the address follows
const SERVER = ["token"]; // fields of an address that are the server's own

/** Whether this is a page of `lens app`, whose address is the view's. */
const served = () => "voila" in document.body.dataset;

/** The page's own address with another view in it. */
function addressOf(link) {
  const query = new URLSearchParams(link);
  const own = new URLSearchParams(location.search);
  for (const name of SERVER) if (own.has(name)) query.set(name, own.get(name));
  return `${location.pathname}?${query}${location.hash}`;
}

/** What one hands to others: without what only this visitor may have. */
const shared = (link) => `${location.origin}${location.pathname}${link}`;

async function copy(text, field) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    field.focus(); // no clipboard without a secure address: the old way
    field.select();
    document.execCommand("copy");
  }
}

/** A text to look at, with a button that copies it. */
function copyRow(life, title, hint) {
  const id = `lens-share-${Math.random().toString(36).slice(2)}`;
  const field = make("textarea", { id, readonly: true, rows: 1, spellcheck: "false", ...OWN_KEYS });
  const button = makeButton({ class: "lens-button", "aria-label": `Copy ${title}` });
  const said = make("span", { class: "lens-hidden", role: "status" });
  const row = make(
    "div",
    { class: "lens-share-row" },
    make("label", { for: id, class: "lens-share-title" }, title),
    make("div", { class: "lens-share-line" }, field, button),
    make("div", { class: "lens-note" }, hint),
    said,
  );
  setText(button, "Copy");
  life.listen(button, "click", async () => {
    await copy(field.value, field);
    setText(button, "Copied");
    setText(said, `${title} copied`);
    setTimeout(() => {
      setText(button, "Copy");
      setText(said, "");
    }, 2000);
  });
  return {
    row,
    show(text, lines = 1) {
      row.hidden = !text;
      if (field.value !== text) field.value = text;
      field.rows = lines;
    },
    hint: (words) => setText(row.querySelector(".lens-note"), words),
  };
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-share");
  const button = makeButton({ class: "lens-button", "aria-haspopup": "dialog" });
  setText(button, "Share");
  const link = copyRow(life, "Link", "");
  const binder = copyRow(life, "Binder link", "Opens this view on mybinder.org, for anyone, without installing anything.");
  const python = copyRow(life, "Python", "Gives the numbers on the screen, by the public names of lens.");
  const save = makeButton({ class: "lens-button" });
  setText(save, "Save page");
  const problem = make("div", { class: "lens-share-problem", role: "alert" });
  const page = make(
    "div",
    { class: "lens-share-row" },
    make("div", { class: "lens-share-title" }, "Page"),
    make("div", { class: "lens-share-line" }, save),
    make("div", { class: "lens-note" }, "One file that opens without a network; its pictures still answer the pointer."),
    problem,
  );
  const card = make("div", { class: "lens-share-card", role: "dialog", "aria-label": "Share this view", popover: "auto" });
  card.append(link.row, binder.row, python.row, page);
  root.append(button, card);

  function address() {
    if (!served() || !model.get("heard")) return;
    const wanted = addressOf(model.get("link"));
    if (wanted !== location.pathname + location.search + location.hash) history.replaceState(history.state, "", wanted);
  }

  function draw() {
    const open = model.get("opened");
    setAttributes(button, { "aria-expanded": String(open) });
    setAttributes(root, { "aria-busy": String(served() && !model.get("heard")) });
    if (!open) return;
    link.show(served() ? shared(model.get("link")) : model.get("link"));
    link.hint(
      !model.get("whole")
        ? "The sentence is too long for an address, so the link opens everything but the sentence."
        : served()
          ? "Opens this very view: sentence, layers, plan and panel."
          : "Put it behind the address of a lens page, or into lens.explore(state=…).",
    );
    binder.show(model.get("binder"));
    const code = model.get("python");
    python.show(code, Math.min(12, code.split("\n").length));
    setText(problem, model.get("problem"));
  }

  /** Under the button, within the window; the browser closes the card at Escape and at a click elsewhere. */
  function place() {
    const { bottom, right } = button.getBoundingClientRect();
    card.style.top = `${bottom + 8}px`;
    card.style.left = `${Math.max(16, Math.min(right, innerWidth - 16) - card.offsetWidth)}px`;
    card.style.maxHeight = `${Math.max(160, innerHeight - bottom - 24)}px`;
  }

  function toggled(event) {
    const open = event.newState === "open";
    model.set("opened", open);
    model.save_changes();
    draw();
    if (!open) return;
    place();
    const field = card.querySelector("textarea");
    field.focus();
    field.select();
    field.scrollLeft = 0; // the beginning says where it leads
  }

  const follow = debounce(life, address, QUIET);
  button.popoverTargetElement = card;
  life.listen(card, "toggle", toggled);
  life.listen(window, "resize", place);
  life.listen(window, "scroll", (event) => card.contains(event.target) || place(), true);
  life.listen(save, "click", () => model.send({ kind: "save" }));
  const onMessage = (message) => {
    if (message.kind === "page") download(message.name, new Blob([message.html], { type: "text/html" }));
  };
  model.on("msg:custom", onMessage);
  life.undo(() => model.off("msg:custom", onMessage));
  life.watch(model, ["opened", "binder", "python", "problem", "heard"], onceAFrame(life, draw));
  life.watch(model, ["link", "heard"], () => {
    follow.schedule();
    draw();
  });
  followTheme(life);
  draw();
  if (served() && !model.get("heard")) model.send({ kind: "search", search: location.search });
  return life.end;
}

export default { initialize, render };
