/** One token: its own text, what was predicted after it when it left, and the layer. */
function makeExit() {
  return makeButton({ class: "lens-exit", role: "option" });
}

/** Its words, only where they change: what is replaced under a pressed pointer loses its click. */
function showParts(node, { label, prediction, layer }) {
  const words = JSON.stringify([label, prediction, layer]);
  if (node.lensWords === words) return;
  node.lensWords = words;
  node.replaceChildren(
    make("span", { class: "lens-exit-token" }, tokenText(label)),
    make("span", { class: "lens-exit-prediction" }, "→ ", tokenText(prediction)),
    make("span", { class: "lens-exit-layer" }, String(layer)),
  );
}

function showExit(node, token, layers, ramp, position) {
  const style = shade(ramp, layers > 1 ? (token.layer - 1) / (layers - 1) : 1);
  node.style.background = style.fill;
  node.style.color = style.text;
  node.classList.toggle("lens-exit-differs", !token.agrees);
  showParts(node, token);
  const whole = token.agrees ? "as the full model" : `the full model says ${token.model}`;
  const confidence = token.confidence === null ? "not a number" : token.confidence.toFixed(3);
  const sure = `confidence ${confidence}, threshold ${token.threshold.toFixed(3)}`;
  const said = `${token.label}: leaves at layer ${token.layer} of ${layers} with ${token.prediction} (${whole}); ${sure}`;
  setAttributes(node, { title: said, "aria-label": said, "data-position": position, "data-layer": token.layer });
}

// ---------------------------------------------------------------- to take along

const inWords = ({ tokens, note }) => `${tokens.map((token) => `${token.label} leaves at layer ${token.layer}`).join("; ")}. ${note ?? ""}`.trim();

/** One token a row. */
function numbersOf({ tokens }) {
  const keys = ["layer", "confidence", "threshold", "prediction", "model", "agrees"];
  return { columns: ["position", "token", ...keys], rows: tokens.map((token, i) => [i, token.label, ...keys.map((key) => token[key])]) };
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-exits");
  const list = make("div", { class: "lens-exits-list lens-picture", role: "listbox", "aria-label": "Tokens", dir: "ltr" });
  const low = make("span", {}, "left at layer 1");
  const strip = make("i");
  const high = make("span");
  const differs = make("span", { class: "lens-exits-differs" }, "dashed: not what the full model says");
  const take = takeAway(life, model, root, {
    ...ofSpec(model, render, "every token", numbersOf, inWords),
    title: () => (model.get("spec").tokens?.length ? "Where each token leaves" : ""),
  });
  const legend = make("div", { class: "lens-exits-legend" }, low, strip, high, differs, take.node);
  const note = make("div", { class: "lens-readout", "data-testid": "note" });
  root.append(list, legend, note);

  function show() {
    if (!root.clientWidth) return; // no style to be read yet: drawn when it has a size
    const spec = model.get("spec");
    const tokens = spec.tokens ?? [];
    const ramp = readPalette(root).ramps.mat;
    while (list.children.length > tokens.length) list.lastChild.remove();
    while (list.children.length < tokens.length) list.append(makeExit());
    tokens.forEach((token, i) => showExit(list.children[i], token, spec.layers, ramp, i));
    strip.style.background = cssGradient(ramp);
    setText(high, `${spec.layers ?? ""}, the last`);
    legend.hidden = !tokens.length;
    setText(note, spec.note ?? "");
    showBusy(root, model.get("busy"));
  }

  life.listen(list, "click", (event) => {
    const node = event.target.closest(".lens-exit");
    if (node) model.send({ kind: "pick", position: Number(node.dataset.position) });
  });
  const schedule = onceAFrame(life, show);
  life.watch(model, ["spec", "busy"], schedule);
  onResize(life, root, schedule);
  followTheme(life, schedule);
  show();
  return life.end;
}

export default { initialize, render };
