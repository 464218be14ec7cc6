// The city's areas: names, what lies in what, and what is chosen. The choice filters every panel.
import { language, pick, t } from "./texts.js";

let byCode = new Map();
export let city = { code: null, name: null, areas: [] };
export let chosen = null;

export function take(drawn) {
  city = drawn;
  byCode = new Map(drawn.areas.map((area) => [area.code, area]));
  if (chosen && !byCode.has(chosen)) chosen = null;
}

export const area = (code) => byCode.get(code);
export const districts = () => city.areas.filter((each) => each.level === "district");
export const townsOf = (code) => city.areas.filter((each) => each.level === "town" && each.district === code);

/** The finest known area that a code lies in. */
export function within(code) {
  for (let text = code ?? ""; text; text = text.slice(0, -1)) if (byCode.has(text)) return byCode.get(text);
  return null;
}

export function nameOf(code) {
  if (code === city.code) return t("whole");
  const found = within(code);
  if (!found) return code ?? "";
  const own = pick(found);
  const above = found.level === "town" ? byCode.get(found.district) : null;
  if (!above) return own;
  if (language() === "zh") return `${pick(above)} ${own}`;
  return `${short(found) === short(above) ? own : short(found)}, ${short(above)}`;
}

/** A name as it fits on the map and in a narrow table. */
export const short = (area) => {
  const name = pick(area);
  const stem = language() === "zh" ? (city.name?.zh ?? "").replace(/[市州盟]$/, "") : city.name?.en ?? "";
  if (/[\u4e00-\u9fff]/.test(name)) {
    const tail = stem && name.length > 6 && name.includes(stem) ? name.slice(name.indexOf(stem) + stem.length) : name;
    return area.level === "town" ? tail.replace(/(街道|镇|乡)$/, "") : tail;
  }
  const tail = stem && name.length > 16 && name.startsWith(`${stem} `) ? name.slice(stem.length + 1) : name;
  const bare = tail.replace(/ (District|Demonstration Zone|Subdistrict|Town|Township)$/, "");
  return bare === stem ? tail : bare;
};

/** Choose an area: its district first, the town itself when its district is chosen already, nothing when it is chosen itself. */
export function choose(code) {
  const found = byCode.get(code);
  if (!found || code === chosen) chosen = null;
  else if (found.level === "town" && chosen !== found.district && byCode.get(chosen)?.district !== found.district) chosen = found.district;
  else chosen = code;
}

export function clear() {
  chosen = null;
}

/** Whether something in an area belongs to the choice: it lies in it, or the choice lies in it. */
export const concerns = (code) => !chosen || (!!code && (code.startsWith(chosen) || chosen.startsWith(code)));
/** Whether it lies in the choice. */
export const inside = (code) => !chosen || (!!code && code.startsWith(chosen));
