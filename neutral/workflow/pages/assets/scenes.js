// Draws surfaces in three dimensions.
function scenePoints(grid, mode) {
  return grid.years.map((t, i) => grid.moneyness.map((m, j) => {
    if (mode === "m" || !mode) return m;
    const k = (m * grid.at_the_money[i] * Math.sqrt(t)) / 100;
    return placed(mode, k, grid.vols[i][j], grid.forwards[i], t);
  }));
}
function maturityTicks(grid) { // at most six, evenly spaced as far as there are labels
  const place = (t) => Math.log10(365 * t);
  const first = place(grid.years[0]), last = place(grid.years[grid.years.length - 1]);
  const kept = [];
  for (const [t, label] of grid.ticks) {
    if (!kept.length || place(t) - place(kept[kept.length - 1][0]) > (last - first) / 6) kept.push([t, label]);
  }
  return { tickvals: kept.map(([t]) => place(t)), ticktext: kept.map(([, label]) => label) };
}
function solid(state) {
  const grid = state.spec.grids[state.view];
  const x = scenePoints(grid, state.mode);
  const days = grid.years.map((t) => 365 * t);
  const y = days.map((day) => grid.moneyness.map(() => Math.log10(day)));
  const name = (day) => `${Number(day.toPrecision(3))} days`;
  const text = grid.vols.map((row, i) => row.map((vol, j) => `${short(vol)} %<br>${AXES[state.mode] ?? grid.fixed} ${short(x[i][j])}<br>${name(days[i])}`));
  const surface = { type: "surface", x, y, z: grid.vols, colorscale: HEAT, showscale: false, text, hovertemplate: "%{text}<extra></extra>",
    contours: { x: { highlightcolor: "#fff" }, y: { highlightcolor: "#fff" }, z: { highlight: false } }, lighting: { ambient: 0.75, diffuse: 0.5, specular: 0.05 } };
  const axis = { color: css("--quiet"), gridcolor: css("--line"), zeroline: false, showbackground: false, tickfont: { size: 11 } };
  const small = state.plot.clientWidth < 600;
  const turned = state.mode === "delta" ? { autorange: "reversed" } : {};
  const layout = { width: state.plot.clientWidth, height: state.spec.height, autosize: false, margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: css("--ink") }, hoverlabel: { bgcolor: "#232c39", font: { color: "#ffffff" } },
    scene: { camera: { eye: state.eye ?? EYE, center: { x: 0, y: 0, z: -0.14 } }, aspectmode: "manual", aspectratio: small ? { x: 1, y: 1, z: 0.7 } : { x: 1.3, y: 1.2, z: 0.75 },
      xaxis: { ...axis, ...turned, nticks: 6, title: { text: small ? "" : SHORT[state.mode] ?? grid.fixed } }, yaxis: { ...axis, ...maturityTicks(grid), title: { text: "" } },
      zaxis: { ...axis, nticks: 6, title: { text: small ? "" : "volatility, %" } } } };
  return [[surface], layout];
}
function withoutScenes(grid) { // the same numbers as lines, where the browser has no WebGL
  const panels = [{ title: "", series: grid.years.map((t, i) => ({ name: `${Number((365 * t).toPrecision(3))} days`, style: "line",
    colour: (i + 0.5) / grid.years.length, x: grid.moneyness, y: grid.vols[i] })) }];
  return { panels, label: grid.label };
}
function hasScenes() {
  const context = element("canvas", {}).getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return Boolean(context);
}
function printCopy(state) { // paper shows a picture of the scene
  clearTimeout(state.copying);
  state.copying = setTimeout(async () => {
    if (!scenes.includes(state)) return;
    const { clientWidth: width, clientHeight: height } = state.plot;
    const source = await plotly().toImage({ data: state.plot.data, layout: onPaper(state.plot.layout) }, { format: "png", width, height, scale: 2 });
    state.copy ??= element("img", { className: "print-copy", alt: "" });
    state.copy.src = source;
    state.plot.append(state.copy);
  }, 1500);
}
