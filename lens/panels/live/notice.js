function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-notice");
  const text = make("div", { class: "lens-notice-text" });
  const detail = make("div", { class: "lens-notice-detail" });
  const mark = make("span", { class: "lens-notice-mark" });
  const button = makeButton({ class: "lens-button" });
  root.append(mark, make("div", { class: "lens-notice-words" }, text, detail), button);

  function draw() {
    const kind = model.get("kind");
    const action = model.get("action");
    setAttributes(root, {
      "data-kind": kind,
      "data-reserve": model.get("reserve"),
      // The region stays on the page, so that a screen reader hears what is put into it.
      role: kind === "error" ? "alert" : "status",
    });
    mark.replaceChildren(...(kind === "none" ? [] : [icon(kind), make("span", { class: "lens-hidden" }, `${kind}: `)]));
    setText(text, kind === "none" ? "" : model.get("text"));
    setText(detail, kind === "none" ? "" : model.get("detail"));
    setText(button, action?.label ?? "");
    button.hidden = kind === "none" || !action;
  }

  life.listen(button, "click", () => model.send({ kind: "action", id: model.get("action").id }));
  life.watch(model, ["kind", "text", "detail", "action", "reserve"], onceAFrame(life, draw));
  followTheme(life);
  draw();
  return life.end;
}

export default { initialize, render };
