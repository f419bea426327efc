// Starts the work of the other files once the page is there.
function redraw(only) {
  for (const state of drawn.values()) if (state.drawn && only(state)) draw(state);
}
function start() {
  document.querySelectorAll("figure.chart").forEach(prepare);
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => redraw((state) => state.plot.clientWidth !== state.width), 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw(() => true));
  addEventListener("beforeprint", () => {
    for (const state of drawn.values()) {
      const fits = state.drawn && state.plot.clientWidth === state.width;
      if (!state.spec.grids && !fits) draw(state);
    }
  });
  addEventListener("afterprint", () => redraw((state) => state.plot.clientWidth !== state.width));
}
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll("table[data-name]").forEach(downloadable);
if (matchMedia("(max-width: 1020px)").matches) document.querySelector(".contents details")?.removeAttribute("open");
// after the first paint, so that readers see the answer while the charts are prepared
requestAnimationFrame(() => setTimeout(start, 0));
