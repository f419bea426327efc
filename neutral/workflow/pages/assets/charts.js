// Draws the charts of a page when a reader comes near them, and makes their controls work.
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
  if (known[0]?.fixed) return [];
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
  const title = nameOf(state.raw);
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
  const spec = state.raw;
  if (spec.grids && state.spec.grids) {
    const grid = spec.grids[state.view];
    const x = scenePoints(grid, state.mode);
    const rows = grid.years.flatMap((t, i) => grid.moneyness.map((_, j) => [grid.label, t, x[i][j], grid.vols[i][j]]));
    return [["surface", "years", AXES[state.mode] ?? grid.fixed, "volatility, %"], ...rows];
  }
  const view = (spec.views ?? state.spec.views)[state.view];
  const rows = view.panels.flatMap((panel) => panel.series.flatMap((one) => {
    const x = horizontal(state, view, one);
    return x.map((at, i) => [view.group, view.label, panel.title, one.name, at, one.y?.[i], one.low?.[i], one.high?.[i], one.notes?.[i]]);
  }));
  return [["group", "view", "panel", "series", AXES[state.mode] ?? (spec.x.label || "x"), spec.y.label || "value", "low", "high", "note"], ...rows];
}
const onPaper = (layout) => {
  const scene = layout.scene && Object.fromEntries(Object.entries(layout.scene).map(([name, part]) =>
    [name, name.endsWith("axis") ? { ...part, color: "#566072", gridcolor: "#dfe3e8" } : part]));
  return { ...layout, ...(scene && { scene }), paper_bgcolor: "#ffffff", font: { ...layout.font, color: "#1b2330" } };
};
function picture(state) {
  if (!state.drawn) draw(state);
  const { clientWidth: width, clientHeight: height } = state.plot;
  const name = fileName(nameOf(state.raw), "");
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
  const content = figure.querySelector(".data").textContent;
  state.raw = JSON.parse(content); // for downloads
  state.spec = JSON.parse(content, (_, value) => (typeof value === "string" ? escaped(value) : value));
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
