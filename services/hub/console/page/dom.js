// Elements, numbers and times: what every panel needs. Text goes in as text, never as markup.
import { language } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const el = (name, attributes, ...children) => filled(document.createElement(name), attributes, children);
export const svg = (name, attributes, ...children) => filled(document.createElementNS(SVG, name), attributes, children);
export const byId = (id) => document.getElementById(id);

/** Replace what an element holds, unless `key` says that it would be the same. */
export function show(node, key, make) {
  const text = JSON.stringify(key);
  if (node.shownKey === text) return false;
  node.shownKey = text;
  node.replaceChildren(...[make()].flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return true;
}

let zone = "Asia/Shanghai";
let offset = 0;
const formats = new Map();

export function setZone(name) {
  zone = name;
  formats.clear();
}

/** The hub's clock counts, not the viewer's: `date` is the Date header of an answer that has just come. */
export function setClock(date) {
  const theirs = Date.parse(date ?? "");
  if (Number.isFinite(theirs)) offset = Math.abs(theirs - Date.now()) < 1500 ? 0 : theirs - Date.now();
}

export const now = () => Date.now() + offset;

function formatted(moment, name, options) {
  const key = `${language()}-${name}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(language() === "zh" ? "zh-CN" : "en-GB", { timeZone: zone, ...options }));
  return formats.get(key).format(moment);
}

const HM = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
export const clock = (moment) => formatted(moment, "clock", { ...HM, second: "2-digit" });
export const hourMinute = (moment) => formatted(moment, "hm", HM);
export const day = (moment) => formatted(moment, "day", { weekday: "short", month: "short", day: "numeric" });
const dayKey = (moment) => formatted(moment, "key", { year: "numeric", month: "2-digit", day: "2-digit" });
const full = (moment) => formatted(moment, "full", { dateStyle: "medium", timeStyle: "long" });

/** `14:03:07` today, with the day before it otherwise. */
export function absolute(text) {
  const moment = new Date(text);
  if (Number.isNaN(moment.getTime())) return "";
  return dayKey(moment) === dayKey(now()) ? clock(moment) : `${formatted(moment, "short", { month: "short", day: "numeric" })} ${hourMinute(moment)}`;
}

/** How long ago, in words. */
export function ago(text) {
  const seconds = (Date.parse(text) - now()) / 1000;
  if (!Number.isFinite(seconds)) return "";
  const size = Math.abs(seconds);
  if (size < 5) return language() === "zh" ? "刚刚" : "just now";
  const [value, unit] = size < 60 ? [seconds, "second"] : size < 3600 ? [seconds / 60, "minute"] : size < 86400 ? [seconds / 3600, "hour"] : [seconds / 86400, "day"];
  const key = `${language()}-relative`;
  if (!formats.has(key)) formats.set(key, new Intl.RelativeTimeFormat(language() === "zh" ? "zh-CN" : "en", { numeric: "always", style: "short" }));
  return formats.get(key).format(Math.trunc(value), unit);
}

/** A moment, absolute and relative; `tick` keeps the words true. */
export function when(text) {
  if (!text) return null;
  return el("time", { datetime: text, title: full(new Date(text)), class: "when" }, el("b", {}, absolute(text)), el("span", { class: "ago" }, ago(text)));
}

export function tick(root = document) {
  for (const node of root.querySelectorAll("time.when > .ago")) {
    const words = ago(node.parentNode.getAttribute("datetime"));
    if (node.textContent !== words) node.textContent = words;
  }
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  const key = `${language()}-number-${digits}`;
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", { maximumFractionDigits: digits, minimumFractionDigits: digits }));
  return formats.get(key).format(value);
}
