// ---------------------------------------------------------------- to take along

/** One token a row. */
function numbersOf({ tokens }) {
  const keys = ["change", "prediction", "model", "agrees"];
  return { columns: ["position", "token", ...keys], rows: tokens.map((token, i) => [i, token.label, ...keys.map((key) => token[key])]) };
}

/** Tokens of a sentence, each with what is predicted after it under a plan, and what that changes in the loss. */
function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-shifts");
  const title = make("div", { class: "lens-panel-title", role: "heading", "aria-level": 2 });
  const list = make("div", { class: "lens-exits-list lens-picture", role: "list", "aria-label": "Tokens", dir: "ltr" });
  const note = make("div", { class: "lens-note" });
  const take = takeAway(life, model, root, ofSpec(model, render, "every token", numbersOf));
  root.append(make("div", { class: "lens-panel-head" }, title, take.node), list, note);

  function show() {
    if (!root.clientWidth) return; // no style to be read yet: drawn when it has a size
    const spec = model.get("spec");
    const tokens = spec.tokens ?? [];
    const { ramps } = readPalette(root);
    const most = spec.most ?? Math.max(0.5, ...tokens.map((token) => Math.abs(token.change ?? 0)));
    setText(title, spec.title ?? "");
    take.hide(!tokens.length);
    list.replaceChildren(...tokens.map((token) => shown(token, ramps, most)));
    setText(note, spec.note ?? "");
    showBusy(root, model.get("busy"));
  }

  function shown(token, ramps, most) {
    const change = token.change;
    const known = Number.isFinite(change);
    const style = shade(known && change < 0 ? ramps.mat : ramps.id, known ? Math.abs(change) / most : 0);
    const words = known ? `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)}` : "";
    const kept = token.agrees ? "same prediction as the full model" : `predicts ${token.prediction}, the full model ${token.model}`;
    const said = known ? `${kept}; loss of the next token ${words} nats` : kept;
    const node = make("div", { class: "lens-exit", role: "listitem", title: `${token.label}: ${said}`, "aria-label": `${token.label}: ${said}` });
    node.style.background = known ? style.fill : "transparent";
    node.style.color = known ? style.text : "inherit";
    node.classList.toggle("lens-exit-differs", !token.agrees);
    const prediction = make("span", { class: "lens-exit-prediction" }, "→ ", tokenText(token.prediction));
    node.append(make("span", { class: "lens-exit-token" }, tokenText(token.label)), prediction);
    node.append(make("span", { class: "lens-shift" }, words));
    return node;
  }

  const schedule = onceAFrame(life, show);
  life.watch(model, ["spec", "busy"], schedule);
  onResize(life, root, schedule);
  followTheme(life, schedule);
  show();
  return life.end;
}

export default { initialize, render };
