// Helpers, downloads, and tables that readers can sort. All files of this folder share one scope.
const element = (name, attributes, text) => {
  const made = Object.assign(document.createElement(name), attributes);
  if (text !== undefined) made.textContent = text;
  return made;
};
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const isNumber = (x) => typeof x === "number" && Number.isFinite(x);
const short = (x) => (isNumber(x) ? String(Number(x.toPrecision(5))) : "");

// the chart library reads tags in its texts; names from files must not be any
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

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


const FORMULA = /^[=+\-@\t\r]/; // what a spreadsheet may take for one
const NUMBER = /^[+-]?[\d.,]*(e[+-]?\d+)?( ?(%|bp))?$/i; // also a dash, which is no number
function csvCell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (typeof value === "string" && FORMULA.test(text) && !NUMBER.test(text)) text = "'" + text;
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
