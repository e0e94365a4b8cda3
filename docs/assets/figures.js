// Figures of lessons, drawn from the numbers beside them.
for (const place of document.querySelectorAll(".lens-figure")) {
  const { data, layout } = JSON.parse(place.querySelector("script").textContent);
  Plotly.newPlot(place, data, { ...layout, autosize: true, width: undefined }, { displaylogo: false, responsive: true });
}
