const WAIT = 120; // milliseconds after the last key
const LINES = 8;

/** The first `maximum` characters, never half of one. */
function cut(text, maximum) {
  if (text.length <= maximum) return text;
  const characters = Array.from(text.slice(0, 2 * maximum + 1));
  return characters.length <= maximum ? text : characters.slice(0, maximum).join("");
}

/** As high as its text, up to a few lines, then it scrolls. */
function fit(box) {
  const style = getComputedStyle(box);
  const frame = box.offsetHeight - box.clientHeight;
  const limit = LINES * parseFloat(style.lineHeight) + parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
  box.style.height = "auto";
  const wanted = box.scrollHeight;
  box.style.height = `${Math.min(wanted, limit) + frame}px`;
  box.style.overflowY = wanted > limit + 1 ? "auto" : "hidden";
}

/** Put a text in from outside and leave the caret where it was, as far as that goes. */
function replaceText(box, text) {
  const { selectionStart, selectionEnd } = box;
  box.value = text;
  if (document.activeElement === box) box.setSelectionRange(selectionStart, selectionEnd);
  fit(box);
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-sentence");
  const plain = { spellcheck: "false", autocomplete: "off", autocapitalize: "off" };
  const box = make("textarea", { rows: 1, dir: "auto", ...plain });
  const warning = make("span", { class: "lens-sentence-warning", role: "status" });
  const note = make("span", { class: "lens-sentence-note", "data-testid": "note" });
  root.append(box, make("div", { class: "lens-sentence-foot" }, warning, note));

  const sent = []; // what this client sent lately, to know its own words when they come back
  const typing = debounce(life, send, WAIT);
  let width = 0;

  function send() {
    if (box.value === model.get("value")) return;
    sent.push(box.value);
    if (sent.length > 8) sent.shift();
    model.set("value", box.value);
    model.save_changes();
  }

  function read() {
    const whole = box.value.toWellFormed?.() ?? box.value;
    const kept = cut(whole, model.get("maximum"));
    if (kept !== box.value) replaceText(box, kept);
    const most = wholeNumber(model.get("maximum"));
    setText(warning, kept.length < whole.length ? `Only the first ${most} characters are kept.` : "");
    fit(box);
  }

  function receive() {
    const text = model.get("value");
    const stale = typing.waiting() && sent.includes(text); // a newer text of ours is on its way
    if (text === box.value || stale) return;
    typing.cancel();
    replaceText(box, text);
    setText(warning, "");
  }

  function refit() {
    if (box.clientWidth !== width) fit(box);
    width = box.clientWidth;
  }

  function describe() {
    setAttributes(box, { placeholder: model.get("placeholder"), "aria-label": model.get("label") });
    setText(note, model.get("note"));
  }

  life.listen(box, "input", (event) => {
    if (event.isComposing) return fit(box);
    read();
    typing.schedule();
  });
  life.listen(box, "compositionend", () => {
    read();
    typing.schedule();
  });
  life.listen(box, "blur", typing.flush);
  life.listen(box, "keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault(); // done with the sentence; Shift+Enter begins a new line
    typing.flush();
  });
  life.watch(model, ["value"], receive);
  life.watch(model, ["placeholder", "label", "note"], describe);
  onResize(life, box, onceAFrame(life, refit));
  followTheme(life);
  box.value = model.get("value");
  describe();
  return life.end;
}

export default { initialize, render };
