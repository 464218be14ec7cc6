// The map: areas coloured by an indicator, what happens where, outlines of danger and closed roads.
import * as areas from "./areas.js";
import { byId, el, now, number, show, svg } from "./dom.js";
import { boxOf, geography, pathOf, pointsOf, projection } from "./geography.js";
import { classesOf, hatched, valueOf } from "./indicators.js";
import { HIGH, schematic, WIDE } from "./schematic.js";
import { language, pick, t } from "./texts.js";
import { said, unit } from "./wording.js";

const RECENT_MS = 3600000; // events older than an hour are in the list, not on the map
const INSET = 310;
let drawn = null; // cells, borders, and `to` where there is a geography
let nodes = new Map();
let focused = null;
let layer = {};

/** Draw the areas once; what changes is painted onto them. */
export function draw(chosen) {
  const city = areas.city;
  const real = city.areas.some((area) => area.rings);
  drawn = real ? { ...geography(city), real } : { ...schematic(city.areas), real };
  nodes = new Map(drawn.cells.map((cell) => [cell.code, svg("path", {
    d: cell.path, class: "cell", "data-code": cell.code, "fill-rule": "evenodd", role: "button", tabindex: -1, onclick: () => { focused = cell.code; chosen(cell.code); },
  }, svg("title"))]));
  layer = Object.fromEntries(["shapes", "marks", "labels", "chosen", "inset"].map((name) => [name, svg("g", { class: name, "aria-hidden": "true" })]));
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "group", onkeydown: (event) => keyed(event, chosen) },
    hatch(), svg("g", { class: "cells" }, ...nodes.values()),
    svg("path", { class: "borders", d: drawn.borders.map((border) => border.path).join("") }),
    layer.chosen, ...(real ? [layer.labels, layer.shapes, layer.marks] : [layer.shapes, layer.marks, layer.labels]), layer.inset);
  byId("canvas").replaceChildren(picture, el("p", { class: "note", id: "map-note" }));
  const first = drawn.cells[0];
  if (first) nodes.get(first.code).setAttribute("tabindex", "0");
  words();
}

function hatch() {
  const lines = (id, gap) => svg("pattern", { id, width: gap, height: gap, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("rect", { width: gap, height: gap, class: `${id}-ground` }), svg("rect", { width: gap / 3, height: gap, class: `${id}-line` }));
  return svg("defs", {}, lines("nothing", 9), lines("danger", 12));
}

/** Names in the language that is shown. */
export function words() {
  if (!drawn) return;
  byId("canvas").firstChild.setAttribute("aria-label", `${t("map")}. ${t("hint")}`);
  byId("map-note").textContent = [drawn.real ? "" : t("schematic"), drawn.real && drawn.cells.some((cell) => cell.block) ? t("partly") : ""].filter(Boolean).join(" ");
}

/** What of the picture is shown: all of it, or on a map the chosen district, so that streets can be told apart. `z`: how much smaller that is. */
function framed() {
  const district = drawn.real ? areas.area(areas.chosen)?.district : null;
  const extents = drawn.cells.filter((cell) => cell.district === district && cell.extent).map((cell) => cell.extent);
  if (!extents.length) return { z: 1, box: null };
  const [west, north, east, south] = boxOf(extents.flatMap((each) => [[each[0], each[1]], [each[2], each[3]]]));
  const width = 1.12 * Math.max(east - west, ((south - north) * WIDE) / HIGH, WIDE / 12);
  const height = (width * HIGH) / WIDE;
  return { z: Math.min(1, width / WIDE), box: [(west + east - width) / 2, (north + south - height) / 2, width, height] };
}

/** Colour by the indicator; say of each area what it is and how much. */
export function paint(indicator, scope) {
  if (!drawn) return null;
  const classes = classesOf(indicator, scope);
  for (const cell of drawn.cells) {
    const node = nodes.get(cell.code);
    const value = valueOf(indicator, classes.byTown ? cell.code : cell.district, scope);
    const step = value === null ? -1 : classes.of(value);
    node.setAttribute("class", `cell ${step < 0 ? "none" : `k${step}`}${areas.inside(cell.code) ? "" : " aside"}${cell.block ? " block" : ""}`);
    const words = value === null ? t(hatched(indicator)) : `${number(value, indicator.kind === "mean" ? 1 : 0)} ${unit(indicator.unit)}`.trim();
    const text = `${areas.nameOf(cell.code)}: ${indicator ? `${pick(indicator.title)} ${words}` : t("waiting")}`;
    if (node.textContent !== text) { node.firstChild.textContent = text; node.setAttribute("aria-label", text); }
    node.setAttribute("aria-pressed", String(areas.chosen !== null && areas.inside(cell.code)));
  }
  labels();
  const around = drawn.borders.filter((border) => border.district === areas.chosen).map((border) => border.path).join("");
  const own = drawn.cells.find((cell) => cell.code === areas.chosen)?.path ?? "";
  show(layer.chosen, [areas.chosen], () => (areas.chosen ? [svg("path", { d: around || own })] : []));
  return classes;
}

function labels() {
  const district = areas.area(areas.chosen)?.district;
  const placed = [];
  show(layer.labels, [areas.chosen, language(), areas.city.version], () => areas.districts().flatMap((each) => {
    const cells = drawn.cells.filter((cell) => cell.district === each.code);
    if (!cells.length) return [];
    if (cells[0].block) return [label(cells.at(-1).x + 20, cells[0].y, areas.short(each), "beside")];
    if (each.code === district && cells.length > 1) return cells.map((cell) => label(cell.x, cell.y, areas.short(areas.area(cell.code)), "town"));
    const x = cells.reduce((sum, cell) => sum + cell.x, 0) / cells.length;
    const y = cells.reduce((sum, cell) => sum + cell.y, 0) / cells.length;
    const own = drawn.real ? cells.find((cell) => cell.code === each.code) ?? { x, y } : { x, y };
    const [name, small] = [areas.short(each), narrow(cells)];
    const height = apart(placed, own.x, own.y - (drawn.real ? 0 : drawn.size * 0.35), name, small ? 20 : 26);
    return [label(own.x, height, name, small ? "district small" : "district")];
  }));
}

/** How high a name may stand without covering another: below the one that is there already. */
function apart(placed, x, y, text, size) {
  const wide = text.length * size * (language() === "zh" ? 1.05 : 0.7);
  while (placed.some((other) => Math.abs(other.x - x) < (other.wide + wide) / 2 && Math.abs(other.y - y) < size * 1.1)) y += 4;
  placed.push({ x, y, wide });
  return y;
}

const narrow = (cells) => (drawn.real ? areas.chosen === null && Math.max(...cells.map((cell) => cell.x)) - Math.min(...cells.map((cell) => cell.x)) < 150 : cells.length < 4);
const label = (x, y, text, kind) => svg("text", { x: x.toFixed(1), y: y.toFixed(1), class: kind }, text);

/** Where something is: by its coordinates if the map has a geography, else in the middle of its area. */
function placeOf(code, lon, lat) {
  if (drawn.to && Number.isFinite(lon) && Number.isFinite(lat)) return drawn.to([lon, lat]);
  const found = areas.within(code);
  const cells = drawn.cells.filter((cell) => cell.code === found?.code || cell.district === found?.code);
  if (!cells.length) return null;
  const x = cells.reduce((sum, cell) => sum + cell.x, 0) / cells.length;
  const y = cells.reduce((sum, cell) => sum + cell.y, 0) / cells.length;
  const nearest = cells.reduce((a, b) => ((a.x - x) ** 2 + (a.y - y) ** 2 <= (b.x - x) ** 2 + (b.y - y) ** 2 ? a : b));
  return [nearest.x, nearest.y + (drawn.real ? 0 : drawn.size * 0.5)];
}

/** Newest events as dots, several at one place as one with their number; incidents as diamonds. */
export function mark(events, incidents, fresh) {
  if (!drawn) return;
  const dots = new Map();
  const { z } = framed();
  for (const { position, event } of events) {
    if (now() - Date.parse(event.time) > RECENT_MS) continue;
    const at = placeOf(event.area, event.data?.lon, event.data?.lat);
    if (!at || !areas.concerns(event.area)) continue;
    const key = at.map((value) => Math.round(value / (12 * z))).join();
    const dot = dots.get(key) ?? { at, count: 0, text: said(event), fresh: false };
    dot.count += 1;
    dot.fresh ||= position > fresh;
    dots.set(key, dot);
  }
  const diamonds = incidents.flatMap(({ properties, geometry }) => {
    const [lon, lat] = geometry?.type === "Point" ? geometry.coordinates : [properties.lon, properties.lat];
    const at = placeOf(properties.area, lon, lat);
    return at && areas.concerns(properties.area) ? [at] : [];
  });
  show(layer.marks, [[...dots], diamonds, z, language()], () => [
    ...[...dots.values()].map((dot) => svg("g", { class: dot.fresh ? "dot fresh" : "dot", transform: `translate(${dot.at.map((v) => v.toFixed(1))}) scale(${z.toFixed(3)})` },
      svg("circle", { r: dot.count > 1 ? 15 : 9 }), dot.count > 1 ? svg("text", {}, dot.count) : null, svg("title", {}, dot.text))),
    ...diamonds.map((at) => svg("path", { class: "diamond", transform: `translate(${(at[0] - (drawn.real ? 0 : 32)).toFixed(1)},${at[1].toFixed(1)}) scale(${z.toFixed(3)})`, d: "M0,-15L15,0L0,15L-15,0Z" })),
  ]);
}

/** Outlines and closures: on the map where it has a geography, and enlarged, to scale, beside it: in a whole city they are small. */
export function shapes(outlines, closures) {
  if (!drawn) return;
  const parts = [...outlines.map((each) => ["outline", each]), ...closures.map((each) => ["closure", each])].filter(([, each]) => each.geometry);
  const drawnWith = (to) => parts.map(([kind, each]) => svg("path", { class: kind, d: pathOf(each.geometry, to), "fill-rule": "evenodd" }));
  show(layer.shapes, drawn.to ? parts : [], () => (drawn.to ? drawnWith(drawn.to) : []));
  const { z, box } = framed();
  const beside = parts.length > 0 && box === null;
  const below = matchMedia("(max-width: 759px)").matches;
  byId("canvas").firstChild.style.setProperty("--z", z.toFixed(3));
  byId("canvas").firstChild.setAttribute("viewBox", box ? box.map((value) => value.toFixed(1)).join(" ") : `0 0 ${WIDE + (beside && !below ? INSET : 0)} ${HIGH + (beside && below ? INSET : 0)}`);
  show(layer.inset, [beside ? parts : [], below, language()], () => (beside ? inset(parts, drawnWith, below) : []));
}

function inset(parts, drawnWith, below) {
  const [width, height] = [below ? WIDE - 20 : INSET - 10, 300];
  const [x, y] = below ? [10, HIGH + 5] : [WIDE + 4, (HIGH - height) / 2];
  const box = boxOf(parts.flatMap(([, each]) => pointsOf(each.geometry)));
  const { to, metres } = projection(box, [x + 20, y + 36, width - 40, height - 80]);
  const length = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000].findLast((each) => each / metres <= width * 0.55) ?? 50;
  const end = y + height - 18;
  return [svg("rect", { x, y, width, height, rx: 8 }), svg("text", { x: x + 14, y: y + 22 }, t("inset")), ...drawnWith(to),
    svg("path", { class: "scale", d: `M${x + 20},${end - 6}v6h${(length / metres).toFixed(1)}v-6` }),
    svg("text", { x: x + 28 + length / metres, y: end }, length < 1000 ? `${length} m` : `${length / 1000} km`)];
}

const STEPS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

function keyed(event, chosen) {
  if (event.key === "Escape") chosen(null);
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); chosen(event.target.dataset?.code ?? null); }
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const from = drawn.cells.find((cell) => cell.code === (event.target.dataset?.code ?? focused)) ?? drawn.cells[0];
  const ahead = drawn.cells.filter((cell) => (cell.x - from.x) * step[0] + (cell.y - from.y) * step[1] > 1);
  const cost = (cell) => { const [dx, dy] = [cell.x - from.x, cell.y - from.y]; const along = dx * step[0] + dy * step[1]; return along + 2.5 * Math.abs(dx * step[1] + dy * step[0]); };
  if (!ahead.length) return;
  const next = ahead.reduce((a, b) => (cost(a) <= cost(b) ? a : b));
  nodes.get(from.code).setAttribute("tabindex", "-1");
  focused = next.code;
  nodes.get(focused).setAttribute("tabindex", "0");
  nodes.get(focused).focus();
}
