// The numbers behind a lens table, and what can be asked of them.

/** A little-endian array, copied because the bytes may lie at any offset. */
function numbers(view, Kind) {
  if (!view?.byteLength) return new Kind(0);
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** One reading and what can be asked of it; null while its parts do not fit each other. */
function openReading(model) {
  const spec = model.get("spec");
  if (!spec.columns?.length || !spec.casts?.length) return null;
  const rows = spec.layers.length + 1;
  const width = spec.columns.length;
  const top = numbers(model.get("top"), Int32Array);
  const probabilities = numbers(model.get("probabilities"), Float32Array);
  const scores = numbers(model.get("scores"), Float32Array);
  const cells = spec.casts.length * rows * width;
  const fits = top.length === cells * spec.k && probabilities.length === top.length;
  if (!fits || scores.length !== cells * spec.metrics.length) return null;
  const place = (cast, row, column) => (cast * rows + row) * width + column;
  const entry = (cast, row, column, i) => {
    const at = place(cast, row, column) * spec.k + i;
    return { label: spec.vocabulary[top[at]] ?? null, id: spec.ids?.[top[at]], probability: probabilities[at] };
  };
  return {
    spec,
    rows,
    width,
    modelRow: rows - 1,
    best: (cast, row, column) => entry(cast, row, column, 0),
    list: (cast, row, column) =>
      Array.from({ length: spec.k }, (_, i) => entry(cast, row, column, i)).filter((item) => item.label !== null),
    score: (metric, cast, row, column) => scores[metric * cells + place(cast, row, column)],
    rowName: (row) => (row === rows - 1 ? "model" : String(spec.layers[row])),
    positionOf: (column) => spec.positions?.[column] ?? column,
    columnOf: (position) => (spec.positions ? spec.positions.indexOf(position) : position),
  };
}
