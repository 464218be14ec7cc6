// Events, incidents and warnings, and the coverage: lists in words.
import * as areas from "./areas.js";
import { absolute, byId, el, show, when } from "./dom.js";
import { DATASETS, language, named, pick, sourceName, STATUS, t } from "./texts.js";
import { incidentKind, said, scales, spoke, where } from "./wording.js";

const ROMAN = ["I", "II", "III", "IV"];
const chip = ({ level, scale, text }) => el("span", { class: `level ${scale} l${ROMAN.indexOf(level) + 1}` }, text);

/** The newest events of the choice, the newest first; those that came since `fresh` are shown as new. */
export function events(all, state, fresh) {
  const list = all.filter(({ event }) => areas.concerns(event.area)).slice(0, 60);
  byId("events-note").textContent = areas.chosen ? areas.nameOf(areas.chosen) : "";
  show(byId("events"), [list.map((each) => each.position), areas.chosen, areas.city.version, language(), state], () => {
    if (state === "waiting") return [el("li", { class: "empty" }, t("waiting"))];
    if (!list.length) return [el("li", { class: "empty" }, t(state === "unreadable" ? "eventsLost" : "noEvents"))];
    return list.map(({ position, event }) => el("li", { class: position > fresh ? "fresh" : "", "data-position": position },
      when(event.time), el("p", {}, ...scales(event).map(chip), said(event)), el("p", { class: "from" }, [spoke(event), where(event)].filter(Boolean).join(" · "))));
  });
}

const roman = (value) => (typeof value === "number" ? ROMAN[value - 1] : value);

function incident({ properties: row }) {
  const title = (language() === "zh" ? row.title_zh ?? row.name_zh : row.title_en ?? row.name_en) ?? row.title ?? incidentKind(row.kind);
  return el("li", {}, when(row.opened_at ?? row.began_at), el("p", {}, chipOf(row, "incidentgrade", row.grade), chipOf(row, "responselevel", row.response_level), row.exercise ? el("span", { class: "level test" }, t("exercise")) : null, el("b", {}, title)),
    el("p", { class: "from" }, [areas.nameOf(row.area), row.place, row.grade_basis === "provisional" ? t("provisional") : ""].filter(Boolean).join(" · ")));
}

function warning({ properties: row }) {
  const headline = (language() === "zh" ? row.headline_zh ?? row.headline_en : row.headline_en ?? row.headline_zh) ?? row.id;
  const mark = row.status && row.status !== "Actual" ? el("span", { class: "level test" }, row.status === "Exercise" ? t("exercise") : t("test")) : null;
  return el("li", {}, when(row.sent ?? row.issued_at ?? row.created_at), el("p", {}, chipOf(row, "warninglevel", row.level), mark, el("b", {}, headline)),
    el("p", { class: "from" }, [row.area ? areas.nameOf(row.area) : "", row.authority].filter(Boolean).join(" · "), row.expires ? [" ", t("expires"), " ", when(row.expires)] : null));
}

function place({ properties: row }, key) {
  const closure = key === "closures";
  const event = closure
    ? { type: "traffic.closure.opened.v1", subject: row.id, data: { revision: row.revision, reason: row.reason, arcs: row.arcs } }
    : { type: "env.outline.computed.v1", subject: row.release, data: row };
  return el("li", {}, when(closure ? row.begins_at : row.computed_at), el("p", {}, said(event)), el("p", { class: "from" }, row.area ? areas.nameOf(row.area) : ""));
}

function chipOf(row, scale, value) {
  const level = roman(row[scale] ?? value);
  return ROMAN.includes(level) ? scales({ [scale]: level }).map(chip) : null;
}

const PARTS = [["warnings", "openWarnings", "warningsHead", "hub.warnings", warning], ["incidents", "openIncidents", "incidentsHead", "hub.incidents", incident]];

/** Warnings in force, open incidents, then outlines and closures: what there is, that there is nothing, or that it cannot be had. */
export function incidents(overview) {
  show(byId("incidents"), [overview?.lists, areas.chosen, areas.city.version, language()], () => {
    if (!overview) return [el("p", { class: "empty" }, t("waiting"))];
    const blocks = PARTS.map(([key, none, head, dataset, made]) => block(overview.lists[key], t(head), t("none", t(none)), dataset, made));
    const places = ["outlines", "closures"].flatMap((key) => rowsOf(overview.lists[key]).map((row) => place(row, key)));
    const lacking = ["outlines", "closures"].filter((key) => overview.lists[key].state === "failed").map((key) => el("p", { class: "empty failed" }, t("partFailed", named(DATASETS, overview.lists[key].dataset))));
    if (places.length || lacking.length) blocks.push([el("h3", {}, t("placesHead")), lacking, el("ul", {}, ...places)]);
    return blocks;
  });
}

export const rowsOf = (part) => (part?.features ?? []).filter(({ properties }) => areas.concerns(properties.area) || !properties.area);

function block(part, head, none, dataset, made) {
  const what = named(DATASETS, dataset);
  if (part.state !== "ok") return [el("h3", {}, head), el("p", { class: `empty ${part.state}` }, t(part.state === "absent" ? "partAbsent" : "partFailed", what))];
  const rows = rowsOf(part);
  return [el("h3", {}, head), rows.length ? el("ul", {}, ...rows.map(made)) : el("p", { class: "empty" }, none), part.more ? el("p", { class: "empty" }, t("more")) : null];
}

const PROBLEMS = {
  "source-timeout": ["未及时答复", "did not answer in time"], "source-error": ["来源出错或无法连接", "failed or cannot be reached"], "source-skipped": ["屡次失败，暂停询问", "left alone after repeated failures"],
  "source-busy": ["并发已满", "too many calls at once"], "source-overloaded": ["暂时过载", "overloaded"], "source-denied": ["拒绝", "denied"], "source-refused": ["认为请求有误", "refuses the question"],
  "source-unsound": ["答案不可信", "its answer is unsound"], "source-left-out": ["翻页时失败", "failed on an earlier page"], "nobody-answered": ["没有来源作答", "no source answered"],
};
const problemWords = (problem) => (problem ? named(PROBLEMS, String(problem.type ?? "").split("/").pop()) : "");

/** All answers behind the overview, by source. */
function answersOf(overview) {
  const parts = [...overview.indicators, ...Object.values(overview.lists)];
  return { parts, answers: parts.flatMap((part) => part.coverage?.sources ?? []) };
}

/** What is missing, in words: answers that are not fresh, parts that nobody answered, sectors that are silent. */
export function missing(overview) {
  const { parts, answers } = answersOf(overview);
  const lacking = answers.filter((answer) => answer.status !== "ok").map((answer) => {
    const what = named(DATASETS, answer.dataset);
    const whose = answer.source ? sourceName(answer.source, overview.city) : t("coverage");
    return `${whose}${language() === "zh" ? "：" : ": "}${what} – ${problemWords(answer.problem) || named(STATUS, answer.status)}`;
  });
  for (const part of parts) if (part.state === "failed" && !part.coverage.sources.length) lacking.push(named(DATASETS, part.dataset));
  const said = new Set(answers.map((answer) => answer.source)); // named above, or answered although its heartbeat was missed
  for (const source of overview.sources) {
    if (source.health !== "up" && source.kind !== "city" && !said.has(source.name)) lacking.push(`${sourceName(source.name, overview.city)} – ${named(STATUS, source.health)}`);
  }
  if (overview.events === null) lacking.push(t("events"));
  return lacking;
}

export const absent = (overview) => answersOf(overview).parts.filter((part) => part.state === "absent").map((part) => named(DATASETS, part.dataset));

/** Every source by name: how it is, what it was asked, how it answered, as of when. */
export function coverage(overview) {
  byId("coverage-note").textContent = overview ? (overview.scope.areas.includes("*") ? "" : t("limited")) : "";
  show(byId("coverage"), [overview?.sources.map(({ last_seen, ...rest }) => rest), overview?.made_at, language()], () => {
    if (!overview) return [el("p", { class: "empty" }, t("waiting"))];
    const { answers } = answersOf(overview);
    const gone = absent(overview);
    const lists = overview.sources.map((source) => {
      const own = answers.filter((answer) => answer.source === source.name);
      const health = source.health !== "up" && own.some((answer) => answer.status === "ok") ? "ok" : source.health;
      const failed = own.find((answer) => answer.status !== "ok");
      const bad = (health !== "up" && health !== "ok") || failed !== undefined;
      const answer = ({ dataset, status, rows, as_of, problem }) => el("p", { class: `from ${status}` }, el("b", {}, named(DATASETS, dataset)), " ",
        status === "ok" ? [t("rows", rows ?? 0), " · ", el("time", { datetime: as_of, title: t("asOf") }, absolute(as_of))] : problemWords(problem) || named(STATUS, status));
      const silent = health === "up" || health === "ok" ? null : el("p", { class: "from" }, source.last_seen ? [`${t("lastSeen")} `, when(source.last_seen)] : t("never"));
      return el("li", { class: bad ? "bad" : "good", "data-source": source.name }, el("i", { class: "lamp", "aria-hidden": "true" }),
        el("p", {}, el("b", {}, sourceName(source.name, overview.city)), " ", el("span", { class: "state" }, named(STATUS, health === "up" && failed ? failed.status : health))), el("div", {}, own.map(answer), silent));
    });
    return [el("ul", { class: "sources" }, ...lists), gone.length ? el("p", { class: "empty" }, t("notShared", gone.join(language() === "zh" ? "、" : ", "))) : null];
  });
}
