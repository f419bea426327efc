"use strict";
// Makes the tables of a page sortable, and draws its charts when a reader comes near them.
(() => {
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

  // ---- small helpers -------------------------------------------------------------------------------------
  const element = (name, attributes, text) => {
    const made = Object.assign(document.createElement(name), attributes);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isNumber = (x) => typeof x === "number" && Number.isFinite(x);
  const short = (x) => (isNumber(x) ? String(Number(x.toPrecision(5))) : "");

  function cumulative(x) { // standard normal, Abramowitz and Stegun 1964, 7.1.26: error below 1.5e-7
    const z = Math.abs(x) / Math.SQRT2;
    const s = 1 / (1 + 0.3275911 * z);
    const tail = s * (0.254829592 + s * (-0.284496736 + s * (1.421413741 + s * (-1.453152027 + s * 1.061405429))));
    const half = 0.5 * tail * Math.exp(-z * z);
    return x > 0 ? 1 - half : half;
  }
  function placed(mode, k, vol, forward, t) { // log-moneyness as a strike or a delta; vol in percent
    if (k === null || mode === "k") return k;
    if (mode === "strike") return forward * Math.exp(k);
    if (!isNumber(vol)) return null;
    const s = (vol / 100) * Math.sqrt(t);
    return 100 * cumulative(-k / s + 0.5 * s);
  }
  function scaled(share) {
    const place = Math.min(Math.max(share, 0), 1) * (SCALE.length - 1);
    const i = Math.min(Math.floor(place), SCALE.length - 2);
    const mixed = SCALE[i].map((x, j) => Math.round(x + (place - i) * (SCALE[i + 1][j] - x)));
    return `rgb(${mixed})`;
  }
  function colourOf(colour) {
    if (colour < 0) return GREY;
    return Number.isInteger(colour) ? COLOURS[colour % COLOURS.length] : scaled(colour);
  }
  function faint(colour) {
    const parts = colour.startsWith("#") ? [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16)) : colour.match(/\d+/g);
    return `rgba(${parts.join(",")},0.16)`;
  }

  // ---- downloads -----------------------------------------------------------------------------------------
  function csvCell(value) {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text) && !/^[+-]?[\d.]/.test(text)) text = "'" + text;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  function save(name, content, type) {
    const url = URL.createObjectURL(new Blob([content], { type }));
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
  const fileName = (title, ending) => title.replace(/[^\p{L}\p{N}+]+/gu, "_").slice(0, 80) + ending;
  const saveRows = (title, rows) =>
    save(fileName(title, ".csv"), rows.map((row) => row.map(csvCell).join(",")).join("\n") + "\n", "text/csv");

  // ---- tables --------------------------------------------------------------------------------------------
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const original = [...body.rows];
    heads.forEach((head, column) => {
      const button = element("button", { type: "button", title: "Sort by this column" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        body.append(...(next ? sorted(original, column, next === "ascending" ? 1 : -1) : original));
      });
    });
  }
  function sorted(rows, column, sign) { // cells without a number are last in both directions
    const key = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
    };
    const empty = (x) => x === "-" || x === "";
    return [...rows].sort((one, other) => {
      const a = key(one), b = key(other);
      if (empty(a) || empty(b)) return empty(a) - empty(b);
      if (typeof a === "number" && typeof b === "number") return sign * (a - b);
      return sign * String(a).localeCompare(String(b), "en", { numeric: true });
    });
  }
  function tableRows(table) {
    return [...table.rows].map((row) => [...row.cells].map((cell) => cell.dataset.value ? Number(cell.dataset.value) : cell.textContent.trim()));
  }
  function downloadable(table) {
    const button = element("button", { type: "button", className: "download", title: "Download this table" }, "CSV");
    button.addEventListener("click", () => saveRows(table.dataset.name, tableRows(table)));
    table.closest(".scroll").after(button);
  }

  // ---- charts: traces and layout --------------------------------------------------------------------------
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
    if (kind === "log") Object.assign(axis, { type: "log", dtick: 1, nticks: undefined });
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

  // ---- charts in three dimensions --------------------------------------------------------------------------
  function scenePoints(grid, mode) {
    return grid.years.map((t, i) => grid.moneyness.map((m, j) => {
      if (mode === "m") return m;
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
    const text = grid.vols.map((row, i) => row.map((vol, j) => `${short(vol)} %<br>${AXES[state.mode]} ${short(x[i][j])}<br>${name(days[i])}`));
    const surface = { type: "surface", x, y, z: grid.vols, colorscale: HEAT, showscale: false, text, hovertemplate: "%{text}<extra></extra>",
      contours: { x: { highlightcolor: "#fff" }, y: { highlightcolor: "#fff" }, z: { highlight: false } }, lighting: { ambient: 0.75, diffuse: 0.5, specular: 0.05 } };
    const axis = { color: css("--quiet"), gridcolor: css("--line"), zeroline: false, showbackground: false, tickfont: { size: 11 } };
    const small = state.plot.clientWidth < 600;
    const turned = state.mode === "delta" ? { autorange: "reversed" } : {};
    const layout = { width: state.plot.clientWidth, height: state.spec.height, autosize: false, margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: css("--ink") }, hoverlabel: { bgcolor: "#232c39", font: { color: "#ffffff" } },
      scene: { camera: { eye: state.eye ?? EYE, center: { x: 0, y: 0, z: -0.14 } }, aspectmode: "manual", aspectratio: small ? { x: 1, y: 1, z: 0.7 } : { x: 1.3, y: 1.2, z: 0.75 },
        xaxis: { ...axis, ...turned, nticks: 6, title: { text: small ? "" : SHORT[state.mode] } }, yaxis: { ...axis, ...maturityTicks(grid), title: { text: "" } },
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

  // ---- charts: drawing and controls ------------------------------------------------------------------------
  function draw(state) {
    state.drawn = true;
    const is3d = Boolean(state.spec.grids);
    if (!state.alt) {
      state.alt = state.plot.querySelector(".alt");
      state.alt?.remove();
    }
    const [data, layout] = is3d ? solid(state) : flat(state);
    const options = { displayModeBar: false, responsive: false, doubleClick: "reset", showTips: false, scrollZoom: false };
    plotly().react(state.plot, data, layout, options);
    state.plot.style.minHeight = `${layout.height}px`;
    state.width = layout.width;
    if (is3d) keepScene(state);
  }
  function keepScene(state) {
    if (!scenes.includes(state)) scenes.push(state);
    if (!state.listening) {
      state.listening = true;
      state.plot.on("plotly_relayout", (change) => { if (change["scene.camera"]) state.eye = change["scene.camera"].eye; printCopy(state); });
    }
    while (scenes.length > MOST_SCENES) {
      const oldest = scenes.shift();
      plotly().purge(oldest.plot);
      oldest.drawn = oldest.listening = false;
      near.observe(oldest.plot);
    }
    printCopy(state);
  }
  function choices(state) {
    const kind = state.spec.grids ? "grid" : state.spec.x.kind;
    const known = state.spec.grids ?? state.spec.views;
    const hasForward = known.every((one) => [one.forwards ?? one.forward].flat().every(isNumber));
    const hasDates = known.every((one) => one.dates?.length);
    return (MODES[kind] ?? []).filter(([mode]) => (mode !== "strike" || hasForward) && (mode !== "date" || hasDates));
  }
  function switches(state) {
    const modes = choices(state);
    state.mode = modes[0]?.[0];
    if (modes.length < 2) return;
    const group = element("div", { className: "choice" });
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Horizontal axis");
    const buttons = modes.map(([mode, label]) => {
      const button = element("button", { type: "button" }, label);
      button.setAttribute("aria-pressed", String(mode === state.mode));
      button.addEventListener("click", () => {
        state.mode = mode;
        buttons.forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
        draw(state);
      });
      return button;
    });
    group.append(...buttons);
    state.controls.append(group);
  }
  function tool(label, title, act) {
    const button = element("button", { type: "button", title }, label);
    button.setAttribute("aria-label", title);
    button.addEventListener("click", act);
    return button;
  }
  const nameOf = ({ subject, title }) => (subject ? `${subject} ${title}` : title);
  function tools(state) {
    const box = element("div", { className: "tools" });
    const title = nameOf(state.spec);
    box.append(
      tool("+", `Zoom in: ${title}`, () => zoom(state, 0.7)),
      tool("\u2212", `Zoom out: ${title}`, () => zoom(state, 1 / 0.7)),
      tool("\u21ba", `Reset the zoom: ${title}`, () => reset(state)),
      tool("CSV", `Download the numbers: ${title}`, () => saveRows(title, numbers(state))),
      tool("PNG", `Download the picture: ${title}`, () => picture(state)),
    );
    state.controls.append(box);
  }
  function chosen(state) {
    const select = state.figure.querySelector("select.view");
    if (!select) return;
    const show = (i) => {
      state.view = i;
      select.value = String(i);
      draw(state);
    };
    select.addEventListener("change", () => show(Number(select.value)));
    const last = (state.spec.grids ?? state.spec.views).length - 1;
    state.figure.querySelectorAll(".step").forEach((button) =>
      button.addEventListener("click", () => show(Math.min(last, Math.max(0, state.view + Number(button.dataset.step))))));
  }
  function numbers(state) {
    if (state.spec.grids) {
      const grid = state.spec.grids[state.view];
      const x = scenePoints(grid, state.mode);
      const rows = grid.years.flatMap((t, i) => grid.moneyness.map((_, j) => [grid.label, t, x[i][j], grid.vols[i][j]]));
      return [["surface", "years", AXES[state.mode], "volatility, %"], ...rows];
    }
    const view = state.spec.views[state.view];
    const rows = view.panels.flatMap((panel) => panel.series.flatMap((one) => {
      const x = horizontal(state, view, one);
      return x.map((at, i) => [view.group, view.label, panel.title, one.name, at, one.y?.[i], one.low?.[i], one.high?.[i], one.notes?.[i]]);
    }));
    return [["group", "view", "panel", "series", AXES[state.mode] ?? (state.spec.x.label || "x"), state.spec.y.label || "value", "low", "high", "note"], ...rows];
  }
  const onPaper = (layout) => {
    const scene = layout.scene && Object.fromEntries(Object.entries(layout.scene).map(([name, part]) =>
      [name, name.endsWith("axis") ? { ...part, color: "#566072", gridcolor: "#dfe3e8" } : part]));
    return { ...layout, ...(scene && { scene }), paper_bgcolor: "#ffffff", font: { ...layout.font, color: "#1b2330" } };
  };
  function picture(state) {
    if (!state.drawn) draw(state);
    const { clientWidth: width, clientHeight: height } = state.plot;
    const name = fileName(nameOf(state.spec), "");
    plotly().downloadImage({ data: state.plot.data, layout: onPaper(state.plot.layout) }, { format: "png", width, height, scale: 2, filename: name });
  }
  function changeRanges(state, change) {
    const full = state.plot._fullLayout;
    const update = {};
    for (const name of Object.keys(full).filter((key) => /^[xy]axis\d*$/.test(key))) {
      const axis = full[name];
      if (axis.type === "category") continue;
      const [low, high] = axis.range.map((end) => axis.r2l(end));
      update[`${name}.range`] = change(name, low, high).map((end) => axis.l2r(end));
    }
    plotly().relayout(state.plot, update);
  }
  function zoom(state, factor) {
    if (!state.drawn) draw(state);
    if (state.spec.grids) return turn(state, ({ x, y, z }) => ({ x: x * factor, y: y * factor, z: z * factor }));
    changeRanges(state, (_, low, high) => {
      const middle = 0.5 * (low + high), half = 0.5 * factor * (high - low);
      return [middle - half, middle + half];
    });
  }
  function move(state, across, up) {
    if (state.spec.grids) return turn(state, ({ x, y, z }) => {
      const angle = 0.15 * across;
      return { x: x * Math.cos(angle) - y * Math.sin(angle), y: x * Math.sin(angle) + y * Math.cos(angle), z: z + 0.15 * up };
    });
    changeRanges(state, (name, low, high) => {
      const shift = 0.12 * (high - low) * (name.startsWith("x") ? across : up);
      return [low + shift, high + shift];
    });
  }
  function turn(state, change) {
    state.eye = change(state.eye ?? EYE);
    plotly().relayout(state.plot, { "scene.camera.eye": state.eye });
  }
  function reset(state) {
    state.eye = undefined;
    draw(state);
  }
  const KEYS = {
    "+": (state) => zoom(state, 0.8), "=": (state) => zoom(state, 0.8), "-": (state) => zoom(state, 1.25), 0: reset,
    ArrowLeft: (state) => move(state, -1, 0), ArrowRight: (state) => move(state, 1, 0),
    ArrowUp: (state) => move(state, 0, 1), ArrowDown: (state) => move(state, 0, -1),
  };
  function keyed(state) {
    state.plot.addEventListener("keydown", (event) => {
      const act = KEYS[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      if (!state.drawn) draw(state);
      act(state);
    });
  }
  function prepare(figure) {
    const state = { figure, plot: figure.querySelector(".plot"), controls: figure.querySelector(".controls"), view: 0, drawn: false };
    state.spec = JSON.parse(figure.querySelector(".data").textContent);
    if (state.spec.grids && !hasScenes()) {
      state.spec.views = state.spec.grids.map(withoutScenes);
      delete state.spec.grids;
    }
    switches(state);
    tools(state);
    chosen(state);
    keyed(state);
    drawn.set(state.plot, state);
    near.observe(state.plot);
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      const state = drawn.get(entry.target);
      if (!state.drawn) draw(state);
    }
  }, { rootMargin: "400px" });

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
})();
