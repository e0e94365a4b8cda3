/** A slider's handles and its number take the words beside it; of two handles, each says which end it is. */
function nameSlider(slider) {
  const label = slider.querySelector(".widget-label")?.textContent.trim();
  const handles = [...slider.querySelectorAll(".noUi-handle")];
  const ends = handles.length > 1 ? [", from", ", to"] : [""];
  if (!label) return;
  handles.forEach((handle, i) => setAttributes(handle, { "aria-label": label + ends[i] }));
  const readout = slider.querySelector(".widget-readout");
  if (readout) setAttributes(readout, { role: "textbox", "aria-label": `${label}, as a number` });
}

function render({ el }) {
  const life = lifetime();
  const root = mount(el, "lens-reach lens-hidden");
  const name = onceAFrame(life, () => el.closest(".lens")?.querySelectorAll(".widget-slider").forEach(nameSlider));
  const observer = new MutationObserver(name);
  onResize(life, root, () => {
    const seat = el.closest(".lens"); // known once it is in its place
    if (seat) observer.observe(seat, { childList: true, subtree: true });
    name();
  });
  life.undo(() => observer.disconnect());
  return life.end;
}

export default { initialize, render };
