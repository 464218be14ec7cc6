// Indicators: values by area, classes of colour, the tiles above the map, the legend below it, the table by district.
import * as areas from "./areas.js";
import { byId, el, number, show, svg } from "./dom.js";
import { language, pick, t } from "./texts.js";
import { unit } from "./wording.js";

let current = "calls";
export const choose = (id) => { current = id; };
export const currentOf = (overview) => overview?.indicators.find((each) => each.id === current) ?? overview?.indicators[0] ?? null;

const visible = (code, scope) => !scope || scope.areas.includes("*") || scope.areas.some((prefix) => code.startsWith(prefix) || prefix.startsWith(code));

/** The key of the words for an indicator that has no values. */
export const hatched = (indicator) => (indicator?.state === "failed" ? "missing" : indicator?.state === "absent" ? "absent" : "noData");

function sumUp(indicator, rows) {
  const [n, sum] = rows.reduce(([a, b], row) => [a + row.at(-2), b + row.at(-1)], [0, 0]);
  return indicator.kind === "mean" ? (n ? sum / n : null) : n;
}

/** Its value in an area (null: the city): a count or a mean; null where nothing can be said. */
export function valueOf(indicator, code, scope) {
  if (!indicator || indicator.state !== "ok" || (code && !visible(code, scope))) return null;
  const level = areas.area(code)?.level;
  return sumUp(indicator, code ? indicator.places.filter((row) => row[level === "town" ? 1 : 0] === code) : indicator.places);
}

function nice(step) {
  const power = 10 ** Math.floor(Math.log10(step));
  return [1, 2, 2.5, 5, 10].find((each) => each * power >= step) * power;
}

/** Up to six classes with round borders. By town if rows know their town and are counted; means of few stations stand for a district, not for a street. */
export function classesOf(indicator, scope) {
  const known = indicator?.places.filter((row) => row[1] !== null) ?? [];
  const towns = areas.city.areas.filter((area) => area.level === "town");
  const byTown = indicator?.kind === "count" && towns.length > 0 && known.length * 2 >= (indicator?.places.length ?? 0);
  const values = (byTown ? towns : areas.districts()).map((area) => valueOf(indicator, area.code, scope)).filter((value) => value !== null);
  if (!values.length) return { byTown, of: () => -1, ranges: [] };
  const high = Math.max(...values);
  if (indicator.kind === "count") {
    const step = Math.max(1, Math.ceil(nice(Math.max(high, 1) / 5)));
    const count = Math.min(5, Math.ceil(high / step));
    const ranges = [["0", 0], ...Array.from({ length: count }, (_, i) => [step === 1 ? String(i + 1) : `${number(i * step + 1)}–${number((i + 1) * step)}`, i + 1])];
    return { byTown, of: (value) => Math.min(5, Math.ceil(value / step)), ranges };
  }
  const low = Math.min(...values);
  const step = nice(Math.max(high - low, high * 0.05, 1e-9) / 5);
  const start = Math.floor(low / step) * step;
  const digits = step < 1 ? 1 : 0;
  const of = (value) => Math.min(5, Math.floor((value - start) / step + 1e-9));
  const ranges = Array.from({ length: of(high) + 1 }, (_, i) => [`${number(start + i * step, digits)}–${number(start + (i + 1) * step, digits)}`, i]);
  return { byTown, of, ranges };
}

/** Values of the last hours, oldest first, for an area or the city; a town's are its district's. */
function hoursOf(indicator, overview) {
  const district = areas.area(areas.chosen)?.district;
  const begin = Date.parse(overview.window.from);
  const hours = Array.from({ length: overview.window.hours }, () => []);
  for (const row of indicator.hours) {
    const index = Math.floor((Date.parse(row[1]) - begin) / 3600000);
    if (hours[index] && (!district || row[0] === district)) hours[index].push(row);
  }
  return hours.map((rows) => (rows.length || indicator.kind === "count" ? sumUp(indicator, rows) : null));
}

function spark(values, kind) {
  const known = values.filter((value) => value !== null);
  const [low, high] = kind === "count" ? [0, Math.max(1, ...known)] : [Math.min(...known), Math.max(...known)];
  const y = (value) => 25 - 22 * (high > low ? (value - low) / (high - low) : 0.5);
  const x = (index) => (index / Math.max(1, values.length - 1)) * 100;
  const inside = kind === "count"
    ? values.map((value, i) => (value ? svg("rect", { x: (i / values.length) * 100 + 0.6, width: 100 / values.length - 1.2, y: y(value), height: 27 - y(value) }) : null))
    : [svg("polyline", { points: values.flatMap((value, i) => (value === null ? [] : [`${x(i).toFixed(1)},${y(value).toFixed(1)}`])).join(" ") })];
  return svg("svg", { viewBox: "0 0 100 28", preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" }, ...inside);
}

/** The tiles: each indicator's value for the choice, its last hours, and the switch for the map. */
export function tiles(overview, picked) {
  const scope = overview?.scope;
  const listed = overview?.indicators ?? [];
  const node = byId("tiles");
  const focusedTile = node.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  const changed = show(node, [listed, areas.chosen, current, language(), overview === null], () => (listed.length ? listed : [null, null, null, null]).map((indicator) => {
    if (!indicator) return el("div", { class: "tile" }, el("span", { class: "what" }, "…"), el("b", {}, "–"));
    const value = valueOf(indicator, areas.chosen, scope);
    const on = currentOf(overview) === indicator;
    return el("button", { type: "button", class: "tile", role: "radio", "aria-checked": String(on), "data-id": indicator.id, tabindex: on ? 0 : -1, onclick: () => picked(indicator.id),
      onkeydown: (event) => roam(event, listed, indicator, picked) },
    el("span", { class: "what" }, pick(indicator.title)),
    el("b", { class: indicator.state === "ok" ? "" : "lacking" }, indicator.state === "ok" ? number(value, indicator.kind === "mean" ? 1 : 0) : t(hatched(indicator)), " ", el("small", {}, indicator.state === "ok" && value !== null ? unit(indicator.unit) : "")),
    indicator.state === "ok" ? spark(hoursOf(indicator, overview), indicator.kind) : el("span", { class: "spark" }));
  }));
  if (changed && focusedTile) node.querySelector(`[data-id="${focusedTile}"]`)?.focus();
}

function roam(event, listed, indicator, picked) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = listed[(listed.indexOf(indicator) + step + listed.length) % listed.length];
  picked(next.id);
  byId("tiles").querySelector(`[data-id="${next.id}"]`)?.focus();
}

export function legend(indicator, classes) {
  show(byId("legend"), [indicator?.id, indicator?.state, classes?.ranges, classes?.byTown, language()], () => {
    if (!indicator || !classes) return [el("span", {}, "\u00a0")];
    const swatch = (kind, text) => el("span", { class: "range" }, el("i", { class: kind }), text);
    return [el("span", { class: "about" }, `${pick(indicator.title)}${indicator.unit ? ` (${unit(indicator.unit)})` : ""} · ${t("last24")}`),
      ...classes.ranges.map(([text, index]) => swatch(`k${index}`, text)), swatch("none", t(indicator.state === "ok" ? "noData" : hatched(indicator)))];
  });
}

/** The districts of the city, or the towns of the chosen district, with every indicator side by side. */
export function table(overview, chosen) {
  const district = areas.area(areas.chosen)?.district;
  const rows = district ? areas.townsOf(district) : areas.districts();
  const listed = overview?.indicators ?? [];
  byId("table-note").textContent = district ? areas.nameOf(district) : t("last24");
  const node = byId("table");
  const focusedRow = node.contains(document.activeElement) ? document.activeElement.dataset.code : null;
  const changed = show(node, [listed, areas.chosen, areas.city.version, current, language()], () => {
    const columns = listed.map((indicator) => {
      const values = rows.map((area) => valueOf(indicator, area.code, overview.scope));
      return { indicator, values, most: Math.max(1e-9, ...values.filter((value) => value !== null)) };
    });
    const cell = ({ indicator, values, most }, index) => {
      const value = values[index];
      const node = el("td", { class: `${currentOf(overview) === indicator ? "on" : ""} ${value === null ? "none" : ""}` }, el("span", { class: "amount" }, value === null ? (indicator.state === "ok" ? "–" : t(hatched(indicator))) : number(value, indicator.kind === "mean" ? 1 : 0)));
      if (value !== null) { const bar = el("span", { class: "bar" }); bar.style.width = `${(100 * value) / most}%`; node.prepend(bar); }
      return node;
    };
    return [el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t(district ? "area" : "district")),
      ...columns.map(({ indicator }) => el("th", { scope: "col" }, pick(indicator.title), indicator.unit ? el("small", {}, ` ${unit(indicator.unit)}`) : null)))),
    el("tbody", {}, ...rows.map((area, index) => el("tr", { class: area.code === areas.chosen ? "chosen" : "" },
      el("th", { scope: "row" }, el("button", { type: "button", "data-code": area.code, "aria-pressed": String(area.code === areas.chosen), title: pick(area), onclick: () => chosen(area.code) }, area.level === "town" ? pick(area) : areas.short(area))),
      ...columns.map((column) => cell(column, index))))))];
  });
  if (changed && focusedRow) node.querySelector(`[data-code="${focusedRow}"]`)?.focus();
}
