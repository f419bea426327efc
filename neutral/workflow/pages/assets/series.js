// Turns the series of a chart into what the chart library draws: traces, axes and panels.
const COLOURS = ["#2f7fd1", "#d4691e", "#2e9462", "#d64560", "#8b6bd6", "#9a7b1f", "#1f93a8", "#c455a8"];
const GREY = "#7d8794"; // of quotes; readable on light and dark paper, as are the colours above
const SCALE = [[47, 111, 209], [30, 150, 150], [120, 150, 40], [212, 105, 30]]; // short to long maturities
const HEAT = [[0, "#27408b"], [0.25, "#2f7fd1"], [0.5, "#2fa58c"], [0.75, "#e0b13a"], [1, "#d64560"]];
const EYE = { x: -1.45, y: -1.65, z: 0.7 };
const MOST_SCENES = 6; // browsers keep few contexts for three dimensions
const MODES = {
  moneyness: [["k", "log-moneyness"], ["strike", "strike"], ["delta", "delta"]],
  grid: [["m", "std. deviations"], ["k", "log-moneyness"], ["strike", "strike"], ["delta", "delta"]],
  days: [["days", "days, log scale"], ["date", "date"]],
};
const AXES = { k: "log-forward moneyness log(K / F)", strike: "strike", delta: "delta of the call, %",
  m: "moneyness in standard deviations", date: "expiry", days: "days to expiry, log scale" };
const SHORT = { m: "std. deviations", k: "log(K / F)", strike: "strike", delta: "delta of the call, %" }; // in three dimensions
const TICKS = [-2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)));
const touch = matchMedia("(pointer: coarse)").matches;
const drawn = new Map(); // figure to its state
const scenes = [];


let library;
function plotly() { // compiled when it is needed, and once
  if (!library) {
    const code = document.getElementById("plotly").textContent;
    document.head.append(element("script", {}, code));
    library = window.Plotly;
  }
  return library;
}
function horizontal(state, view, one) {
  const x = one.x ?? view.x ?? [];
  const { kind } = state.spec.x;
  if (kind === "moneyness") {
    const vols = one.y ?? one.low.map((low, i) => 0.5 * (low + one.high[i]));
    return x.map((k, i) => placed(state.mode, k, vols[i], view.forward, view.t));
  }
  if (kind === "days" && state.mode === "date") return view.dates;
  return x;
}
function traces(state, view, one, axis, named) {
  const colour = colourOf(one.colour);
  const x = horizontal(state, view, one);
  const unit = state.spec.y.unit;
  const common = { type: "scatter", name: one.name, legendgroup: one.name, showlegend: named, x, ...axis };
  const about = (i) => (one.notes?.[i] ? `<br>${one.notes[i]}` : "");
  const value = (i) => `${short(one.y?.[i])}${unit}`;
  if (one.style === "bars") {
    const middle = one.low.map((low, i) => (isNumber(low) && isNumber(one.high[i]) ? 0.5 * (low + one.high[i]) : null));
    const half = one.low.map((low, i) => 0.5 * (one.high[i] - low));
    return [{ ...common, y: middle, mode: "markers", marker: { color: colour, size: 3 },
      error_y: { type: "data", array: half, color: colour, thickness: 2, width: 3 },
      text: middle.map((_, i) => `bid ${short(one.low[i])}${unit}, ask ${short(one.high[i])}${unit}${about(i)}`),
      hovertemplate: "%{text}<extra>market</extra>" }];
  }
  if (one.style === "whiskers") {
    const up = one.high?.map((high, i) => high - x[i]), down = one.low?.map((low, i) => x[i] - low);
    return [{ ...common, y: one.y, mode: "markers", marker: { color: colour, size: 10 },
      error_x: up && { type: "data", symmetric: false, array: up, arrayminus: down, color: colour, thickness: 2, width: 4 },
      text: x.map((at, i) => one.notes?.[i] ?? `${short(at)}${state.spec.x.unit}`), hovertemplate: "%{y}: %{text}<extra>%{fullData.name}</extra>" }];
  }
  if (one.style === "dots" || one.style === "marks") {
    const ring = one.style === "marks";
    const across = state.spec.y.kind === "names";
    return [{ ...common, y: one.y, mode: "markers",
      legendrank: ring ? 2000 : 1000,
      marker: { color: colour, size: ring ? 13 : across ? 9 : 5.5, opacity: across ? 0.5 : 1, symbol: ring ? "circle-open" : "circle", line: { width: ring ? 2 : 0, color: colour } },
      text: x.map((at, i) => (one.notes?.[i] ?? (across ? `${short(at)}${state.spec.x.unit}` : value(i)))),
      hovertemplate: "%{text}<extra>%{fullData.name}</extra>" }];
  }
  const line = { ...common, y: one.y, mode: "lines", line: { color: colour, width: 2 },
    text: x.map((_, i) => value(i) + about(i)), hovertemplate: "%{text}<extra>%{fullData.name}</extra>" };
  if (one.style !== "path") return [line];
  line.mode = "lines+markers";
  line.connectgaps = true;
  line.marker = { color: colour, size: x.length > 60 ? 3 : 5.5, symbol: one.crossed?.map((flag) => (flag ? "x-thin-open" : "circle")) ?? "circle" };
  line.line.width = 1.6;
  if (!one.low) return [line];
  const outline = around(x, one.low, one.high);
  const band = { ...common, ...outline, mode: "lines", line: { width: 0, color: colour }, fill: "toself", fillcolor: faint(colour), showlegend: false, hoverinfo: "skip" };
  return [band, line];
}
function around(x, low, high) { // outlines of a band, one for each stretch without a gap
  const outline = { x: [], y: [] };
  let first = 0;
  for (let i = 0; i <= x.length; i += 1) {
    if (i < x.length && isNumber(low[i]) && isNumber(high[i])) continue;
    if (i - first > 1) {
      const there = x.slice(first, i);
      outline.x.push(...there, ...[...there].reverse(), null);
      outline.y.push(...low.slice(first, i), ...high.slice(first, i).reverse(), null);
    }
    first = i + 1;
  }
  return outline;
}
function extent(panel) { // of the values without wide bands, which would flatten the paths
  const inner = [], outer = [];
  for (const one of panel.series) {
    for (const y of one.y ?? []) if (isNumber(y)) inner.push(y);
    for (const name of ["low", "high"]) for (const y of one[name] ?? []) if (isNumber(y)) outer.push(y);
  }
  if (!panel.series.some((one) => one.style === "path" && one.low) || !inner.length) return null;
  const low = Math.min(...inner), high = Math.max(...inner);
  const room = Math.max(0.35 * (high - low), 0.04 * Math.max(Math.abs(low), Math.abs(high)), 1e-9);
  return [Math.max(low - room, Math.min(low, ...outer) - 0.25 * room), Math.min(high + room, Math.max(high, ...outer) + 0.25 * room)];
}
function horizontalAxis(state) {
  const { kind, label } = state.spec.x;
  const title = AXES[state.mode] ?? label;
  const axis = { title: { text: title, standoff: 8 }, automargin: true, zeroline: false, nticks: 7, fixedrange: touch };
  if (kind === "time" || state.mode === "date") axis.type = "date";
  if (kind === "log" || state.mode === "days") Object.assign(axis, { type: "log", tickvals: TICKS, ticktext: TICKS.map(String) });
  if (state.mode === "delta") Object.assign(axis, { autorange: "reversed" });
  if (kind === "names") axis.type = "category";
  return axis;
}
function verticalAxis(state, panel) {
  const { kind } = state.spec.y;
  const axis = { automargin: true, zeroline: false, nticks: 6, fixedrange: touch };
  if (kind === "names") Object.assign(axis, { type: "category", autorange: "reversed", fixedrange: true, ticklabelstandoff: 6, tickmode: "linear", dtick: 1 });
  if (kind === "log") Object.assign(axis, { type: "log", dtick: 1, nticks: undefined, exponentformat: "e" });
  const range = panel.range ?? extent(panel);
  if (range) axis.range = range;
  return axis;
}
function layoutFor(state, view, width) {
  const n = view.panels.length;
  const columns = Math.max(1, Math.min(n, state.spec.columns, Math.floor(width / 270)));
  const rows = Math.ceil(n / columns);
  const names = new Set(view.panels.flatMap((panel) => panel.series.map((one) => one.name)));
  const titled = n > 1 && view.panels.every((panel) => panel.series.length === 1);
  const legend = names.size > 1 && !titled;
  const top = 8 + (n > 1 && view.panels[0].title ? 22 : 0);
  const size = state.spec.height;
  const gap = n > 1 ? 62 : 0;
  const bottom = 52 + (legend ? 26 * Math.ceil([...names].join("").length / Math.max(20, width / 9) + names.size * 0.001) : 0);
  const inner = rows * size + (rows - 1) * gap;
  const layout = {
    height: inner + top + bottom, width, margin: { l: 52, r: 14, t: top, b: bottom }, autosize: false,
    font: { family: "system-ui, sans-serif", size: 12, color: css("--ink") }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: state.spec.x.kind === "time" || state.spec.x.kind === "days" ? "x unified" : "closest", dragmode: touch ? false : "zoom",
    hoverlabel: { bgcolor: "#232c39", bordercolor: "#4a5666", font: { color: "#ffffff", size: 12 }, align: "left" },
    showlegend: legend, legend: { orientation: "h", x: 0, xanchor: "left", y: -44 / inner, yanchor: "top", itemsizing: "constant" },
    annotations: [], shapes: [],
  };
  view.panels.forEach((panel, i) => {
    const end = i ? i + 1 : "";
    const row = Math.floor(i / columns), column = i % columns;
    const across = n > 1 ? 56 / width : 0;
    const share = (1 - across * (columns - 1)) / columns;
    const left = column * (share + across);
    const high = 1 - (row * (size + gap)) / inner;
    const last = i + columns >= n;
    layout[`xaxis${end}`] = { ...horizontalAxis(state), domain: [left, left + share], anchor: `y${end}` };
    if (n > 1 && !last) layout[`xaxis${end}`].title = undefined;
    if (n > 1) layout[`xaxis${end}`].nticks = 4;
    if (columns > 2 && layout[`xaxis${end}`].tickvals) { // powers of ten alone, which fit without being turned
      const powers = TICKS.filter((tick) => Number.isInteger(Math.log10(tick)));
      Object.assign(layout[`xaxis${end}`], { tickvals: powers, ticktext: powers.map(String) });
    }
    layout[`yaxis${end}`] = { ...verticalAxis(state, panel), domain: [Math.max(0, high - size / inner), high], anchor: `x${end}` };
    if (n === 1 && state.spec.y.label && state.spec.y.kind !== "names") layout.yaxis.title = { text: state.spec.y.label, standoff: 8 };
    if (n > 1) layout.annotations.push({ text: `<b>${panel.title}</b>`, x: left, y: high, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 12 } });
    if (state.spec.x.kind === "moneyness") layout.shapes.push(atTheMoney(state, view, end));
    for (const [name, at] of Object.entries(state.spec.lines)) layout.shapes.push(straight(name, at, end));
  });
  return layout;
}
const line = { width: 1, dash: "dot", color: GREY };
function straight(name, at, end) {
  return name === "x"
    ? { type: "line", xref: `x${end}`, yref: `y${end} domain`, x0: at, x1: at, y0: 0, y1: 1, line, layer: "below" }
    : { type: "line", xref: `x${end} domain`, yref: `y${end}`, x0: 0, x1: 1, y0: at, y1: at, line, layer: "below" };
}
function atTheMoney(state, view, end) {
  return straight("x", { k: 0, strike: view.forward, delta: 50 }[state.mode], end);
}
function flat(state) {
  const view = state.spec.views[state.view];
  const seen = new Set();
  const data = view.panels.flatMap((panel, i) => {
    const end = i ? i + 1 : "";
    return panel.series.flatMap((one) => {
      const named = !seen.has(one.name);
      seen.add(one.name);
      return traces(state, view, one, { xaxis: `x${end}`, yaxis: `y${end}` }, named);
    });
  });
  return [data, layoutFor(state, view, state.plot.clientWidth)];
}
