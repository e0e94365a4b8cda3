const DRAWN = new Set(["p", "strong", "em", "code", "pre", "ul", "ol", "li"]);

/** Prose as elements; what it may not be is left as its words. */
function drawProse(nodes) {
  return nodes.map((node) => {
    if (typeof node === "string") return document.createTextNode(node);
    const inside = drawProse(node.children);
    if (node.tag === "a" && /^https:\/\//.test(node.href))
      return make("a", { href: node.href, target: "_blank", rel: "noopener noreferrer" }, ...inside);
    return make(DRAWN.has(node.tag) ? node.tag : "span", {}, ...inside);
  });
}

/** A question whose answer is folded away. */
function drawQuestion(question) {
  return make(
    "details",
    { class: "lens-guide-question" },
    make("summary", OWN_KEYS, ...drawProse(question.asked)),
    make("div", { class: "lens-guide-prose" }, ...drawProse(question.answer)),
  );
}

function makeChoice() {
  const button = makeButton({ class: "lens-guide-choice" });
  button.append(make("span", { class: "lens-guide-number", "aria-hidden": "true" }), make("span"));
  return make("li", {}, button);
}

/** Numbered buttons, the lessons or the steps of one; each stays where it is, so that a press on it is never lost. */
function showNumbered(list, items, current) {
  while (list.children.length > items.length) list.lastChild.remove();
  while (list.children.length < items.length) list.append(makeChoice());
  items.forEach(({ number, title }, i) => {
    const button = list.children[i].firstChild;
    setAttributes(button, { "data-number": number, "aria-current": number === current ? "step" : null });
    setText(button.firstChild, String(number));
    setText(button.lastChild, title);
  });
}

function render({ model, el }) {
  const life = lifetime();
  const root = mount(el, "lens-guide");
  const heading = make("h2", { class: "lens-panel-title", tabindex: -1 });
  const all = makeButton({ class: "lens-guide-link" });
  const close = makeButton({ class: "lens-button lens-guide-close", "aria-label": "Close the lessons" });
  const list = make("ol", { class: "lens-guide-list" });
  const place = make("nav", { "aria-label": "Steps" }, list);
  const said = make("div", { class: "lens-guide-step", role: "region", "aria-live": "polite" });
  const back = makeButton({ class: "lens-button" });
  const next = makeButton({ class: "lens-button lens-guide-next" });
  const foot = make("div", { class: "lens-guide-foot" }, back, next);
  setText(all, "All lessons");
  setText(close, "Close");
  setText(back, "Back");
  const head = make("div", { class: "lens-guide-head" }, all, close);
  root.append(head, heading, place, said, foot);
  setAttributes(root, { role: "complementary", "aria-label": "Lessons" });

  let drawn = ""; // the step whose prose is on the page: a question that was opened stays open
  let listed = null; // the lesson whose steps are listed

  function draw() {
    const number = model.get("lesson");
    const lessons = model.get("lessons");
    const steps = model.get("steps");
    const step = model.get("step");
    const lesson = lessons.find((each) => each.number === number);
    all.hidden = foot.hidden = said.hidden = !lesson;
    if (lesson) head.after(heading);
    else head.prepend(heading);
    setText(heading, lesson ? `${number}. ${lesson.title}` : "Lessons");
    const named = steps.map(({ title }, i) => ({ number: i + 1, title }));
    const focused = place.contains(document.activeElement);
    const moved = focused && list.querySelector("[aria-current]")?.dataset.number !== String(step);
    if (listed !== number) list.replaceChildren(); // what is pressed as a lesson must not be let go as a step
    listed = number;
    if (lesson) showNumbered(list, named, step);
    else showNumbered(list, lessons, 0);
    setAttributes(place, { "aria-label": lesson ? "Steps" : "Lessons" });
    if (moved) (list.querySelector("[aria-current]") ?? heading).focus();
    if (lesson && steps[step - 1]) drawStep(`${number}/${step}`, steps[step - 1]);
    const following = lessons[lessons.indexOf(lesson) + 1];
    back.disabled = step <= 1;
    next.hidden = step >= steps.length && !following;
    setText(next, step < steps.length ? "Next" : `Lesson ${following?.number}`);
  }

  function drawStep(key, step) {
    if (drawn === key) return;
    drawn = key;
    said.replaceChildren(
      make("h3", { class: "lens-guide-title" }, step.title),
      make("div", { class: "lens-guide-prose" }, ...drawProse(step.prose)),
      make("div", { class: "lens-guide-questions" }, ...step.questions.map(drawQuestion)),
    );
    root.scrollTop = 0;
  }

  const go = (lesson, step = 1) => model.send({ kind: "go", lesson, step });

  function forward() {
    const lessons = model.get("lessons");
    const lesson = model.get("lesson");
    const step = model.get("step");
    if (step < model.get("steps").length) return go(lesson, step + 1);
    const following = lessons[lessons.findIndex((each) => each.number === lesson) + 1];
    if (following) go(following.number);
  }

  function backward() {
    if (model.get("step") > 1) go(model.get("lesson"), model.get("step") - 1);
  }

  life.listen(all, "click", () => go(0));
  life.listen(close, "click", () => model.send({ kind: "close" }));
  life.listen(back, "click", backward);
  life.listen(next, "click", forward);
  life.listen(place, "click", (event) => {
    const number = Number(event.target.closest("button")?.dataset.number);
    if (!number) return;
    if (model.get("lesson")) go(model.get("lesson"), number);
    else go(number);
  });
  life.listen(root, "keydown", (event) => {
    const action = { ArrowLeft: backward, ArrowRight: forward, Escape: () => model.send({ kind: "close" }) }[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || !(model.get("lesson") || event.key === "Escape")) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  life.watch(model, ["lessons", "lesson", "steps", "step"], onceAFrame(life, draw));
  followTheme(life);
  draw();
  return life.end;
}

export default { initialize, render };
