/** One chip, made anew or brought up to date. */
function showChip(chip, token, index, chosen) {
  if (chip.dataset.label !== token.label) chip.replaceChildren(tokenText(token.label));
  chip.classList.toggle("lens-chip-special", Boolean(token.special));
  chip.classList.toggle("lens-chip-masked", Boolean(token.masked));
  setAttributes(chip, {
    "data-label": token.label,
    "data-position": index,
    "aria-selected": String(chosen),
    "aria-label": `${token.label}, position ${index}${token.masked ? ", masked" : ""}`,
    tabindex: chosen ? 0 : -1,
    title: token.title || null,
  });
}

/** Scroll the list, and only the list, so that the chip can be seen. */
function keepInView(list, chip) {
  const above = chip.offsetTop - list.scrollTop;
  const margin = 6;
  if (above < margin) list.scrollTop += above - margin;
  const below = above + chip.offsetHeight - list.clientHeight;
  if (below > -margin) list.scrollTop += below + margin;
}

/** The chip straight above or below, in the nearest line that has one. */
function verticalNeighbour(chips, from, direction) {
  const centre = (chip) => chip.offsetLeft + chip.offsetWidth / 2;
  const beyond = chips.filter((chip) => (chip.offsetTop - from.offsetTop) * direction > 4);
  const line = direction > 0 ? beyond[0]?.offsetTop : beyond.at(-1)?.offsetTop;
  const distance = (chip) => Math.abs(centre(chip) - centre(from));
  return beyond.filter((chip) => chip.offsetTop === line).sort((a, b) => distance(a) - distance(b))[0];
}

function destination(chips, current, key) {
  const place = chips.indexOf(current);
  if (key === "ArrowRight") return chips[place + 1];
  if (key === "ArrowLeft") return chips[place - 1];
  if (key === "Home") return chips[0];
  if (key === "End") return chips.at(-1);
  if (key === "ArrowDown") return verticalNeighbour(chips, current, 1);
  if (key === "ArrowUp") return verticalNeighbour(chips, current, -1);
  return null;
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-chips");
  const named = { role: "listbox", "aria-label": "Tokens", dir: "ltr" };
  const list = make("div", { class: "lens-chips-list lens-picture", ...named });
  const hint = make("div", { class: "lens-chips-hint", "data-testid": "hint" });
  root.append(list, hint);

  function draw() {
    const tokens = model.get("tokens");
    const position = model.get("position");
    while (list.children.length > tokens.length) list.lastChild.remove();
    while (list.children.length < tokens.length) list.append(makeButton({ class: "lens-chip", role: "option" }));
    tokens.forEach((token, i) => showChip(list.children[i], token, i, i === position));
    const chosen = list.children[position];
    if (chosen) keepInView(list, chosen);
    else list.firstChild?.setAttribute("tabindex", 0); // something must be reachable by Tab
    setText(hint, model.get("hint"));
    showBusy(root, model.get("busy"));
  }

  function pick(chip) {
    const position = Number(chip.dataset.position);
    model.set("position", position);
    model.save_changes();
    model.send({ kind: "pick", position });
    draw();
    chip.focus({ preventScroll: true });
  }

  life.listen(list, "click", (event) => {
    const chip = event.target.closest(".lens-chip");
    if (chip) pick(chip);
  });
  life.listen(list, "keydown", (event) => {
    const chips = [...list.children];
    const chip = destination(chips, event.target.closest(".lens-chip"), event.key);
    if (chip === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (chip) pick(chip);
  });
  const schedule = onceAFrame(life, draw);
  life.watch(model, ["tokens", "position", "hint", "busy"], schedule);
  onResize(life, list, schedule);
  followTheme(life);
  draw();
  return life.end;
}

export default { initialize, render };
