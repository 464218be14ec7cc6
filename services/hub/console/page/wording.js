// What an event says, in words: a template for each type, and something true for types that nobody has met yet.
import { nameOf } from "./areas.js";
import { number } from "./dom.js";
import { language, named, SERVICES } from "./texts.js";

const CALLS = {
  structure_fire: ["建筑火灾", "structure fire"], vehicle_fire: ["车辆火灾", "vehicle fire"], outside_fire: ["室外火灾", "outside fire"],
  alarm: ["报警器报警", "alarm"], smoke_investigation: ["烟雾查看", "smoke investigation"], odor_investigation: ["异味查看", "odour investigation"],
  gas_leak: ["燃气泄漏", "gas leak"], hazmat: ["危险化学品", "hazardous materials"], fuel_spill: ["燃油泄漏", "fuel spill"],
  electrical_hazard: ["电气险情", "electrical hazard"], explosion: ["爆炸", "explosion"], medical: ["医疗救助", "medical"],
  traffic_collision: ["交通事故", "traffic collision"], rescue: ["救援", "rescue"], elevator_rescue: ["电梯救援", "elevator rescue"], water_rescue: ["水域救援", "water rescue"],
  industrial_accident: ["生产事故", "industrial accident"], public_assistance: ["群众求助", "public assistance"], police_assistance: ["协助公安", "police assistance"],
  release: ["泄漏", "release"], other: ["其他", "other"],
};
const TRAFFIC = {
  crash: ["碰撞", "crash"], breakdown: ["车辆故障", "breakdown"], obstruction: ["障碍物", "obstruction"], flooding: ["积水", "flooding"], ice: ["结冰", "ice"], spill: ["抛洒物", "spill"],
  signal_failure: ["信号故障", "signal failure"], congestion: ["拥堵", "congestion"], event: ["活动", "event"], other: ["其他", "other"],
};
const SEVERITY = { fatal: ["有人死亡", "fatal"], serious: ["有人重伤", "serious injury"], minor: ["有人轻伤", "minor injury"], possible: ["可能有伤", "possible injury"], none: ["无人受伤", "no injury"], unknown: ["伤情不明", "injuries unknown"] };
const INCIDENTS = {
  release: ["危险物质泄漏", "hazardous release"], fire: ["火灾", "fire"], explosion: ["爆炸", "explosion"], traffic: ["交通", "traffic"], food: ["食品", "food"], environment: ["环境", "environment"],
  flood: ["洪涝", "flood"], storm: ["风暴", "storm"], earthquake: ["地震", "earthquake"], health: ["公共卫生", "health"], security: ["治安", "security"], other: ["其他", "other"],
};
const PROPERTIES = { pm25: ["PM2.5", "PM2.5"], pm10: ["PM10", "PM10"], so2: ["二氧化硫", "SO₂"], no2: ["二氧化氮", "NO₂"], co: ["一氧化碳", "CO"], o3: ["臭氧", "O₃"] };
const REASONS = { release: ["泄漏", "a release"], incident: ["事件", "an incident"], works: ["施工", "works"], event: ["活动", "an event"], weather: ["天气", "weather"] };
const MISSING = { card: ["现场卡", "the card"], outline: ["危险区", "the outline"], routes: ["路线", "routes"] };
const STATES = { acknowledged: ["已确认", "acknowledged"], declined: ["已谢绝", "declined"], done: ["已完成", "done"], in_force: ["生效", "in force"], ended: ["终止", "ended"] };
const KIND_OF_WARNING = { Alert: ["发布", "issued"], Update: ["更新", "updated"], Cancel: ["解除", "cancelled"] };
const UNITS = { "ug/m3": "μg/m³", "mg/m3": "mg/m³" };

export const unit = (code) => UNITS[code] ?? code ?? "";
export const kindOf = (code) => named(CALLS, code);
export const incidentKind = (code) => named(INCIDENTS, code);
/** Of a text in two languages, `中文 / English`, the one that is shown. */
const half = (text) => { const parts = String(text ?? "").split(" / "); return parts.length === 2 ? parts[zh() ? 0 : 1] : parts.join(" / "); };
const zh = () => language() === "zh";
const headline = (d) => (zh() ? d.headline_zh ?? d.headline_en : d.headline_en ?? d.headline_zh) ?? "";
const both = (d) => (zh() ? d.name_zh : d.name_en) ?? d.substance;
const minutes = (list) => {
  const known = (list ?? []).filter((value) => value !== null);
  return known.length ? number(Math.min(...known) / 60, 1) : null;
};

/** By type without its version: `[Chinese, English]`, each a function of the event's data. */
export const EVENTS = {
  "fire.call.received": [(d) => `接警：${kindOf(d.kind)}`, (d) => `Call: ${kindOf(d.kind)}`],
  "fire.incident.opened": [(d) => `消防立案：${kindOf(d.kind)}`, (d) => `Fire incident opened: ${kindOf(d.kind)}`],
  "fire.units.dispatched": [
    (d) => `派出 ${d.units.length} 个力量（${d.units.slice(0, 4).join("、")}${d.units.length > 4 ? "等" : ""}）${minutes(d.travel_s) ? `，最快 ${minutes(d.travel_s)} 分钟` : ""}`,
    (d) => `${d.units.length} ${d.units.length === 1 ? "unit" : "units"} sent (${d.units.slice(0, 4).join(", ")}${d.units.length > 4 ? ", …" : ""})${minutes(d.travel_s) ? `, soonest in ${minutes(d.travel_s)} min` : ""}`],
  "fire.crews.informed": [
    (d) => `已通知现场力量（第 ${d.revision} 版）${d.missing.length ? `，缺${d.missing.map((each) => named(MISSING, each)).join("、")}` : ""}`,
    (d) => `Crews informed (revision ${d.revision})${d.missing.length ? `, without ${d.missing.map((each) => named(MISSING, each)).join(", ")}` : ""}`],
  "fire.incident.closed": [() => "消防处置结束，力量归队", () => "Fire incident closed, units free again"],
  "env.observation.exceeded": [
    (d) => `${named(PROPERTIES, d.property)} 小时均值 ${number(d.mean)} ${unit(d.unit)}，超过限值 ${number(d.limit)}（${d.station}）`,
    (d) => `${named(PROPERTIES, d.property)} hourly mean ${number(d.mean)} ${unit(d.unit)}, above the limit of ${number(d.limit)} (${d.station})`],
  "env.outline.computed": [
    (d) => `危险区第 ${d.revision} 版：隔离 ${number(d.isolation_m)} m，下风向防护 ${number(d.protective_m)} m`,
    (d) => `Outline, revision ${d.revision}: isolate ${number(d.isolation_m)} m, protect ${number(d.protective_m)} m downwind`],
  "env.outline.lifted": [() => "危险区解除", () => "Outline of danger lifted"],
  "worksafety.release.reported": [
    (d) => `${both(d)}泄漏${d.rate_kg_s ? `，${number(d.rate_kg_s, 1)} kg/s` : "，速率未知"}${d.revision > 1 ? `（第 ${d.revision} 次报告）` : ""}`,
    (d) => `Release of ${both(d)}${d.rate_kg_s ? `, ${number(d.rate_kg_s, 1)} kg/s` : ", rate unknown"}${d.revision > 1 ? ` (report ${d.revision})` : ""}`],
  "worksafety.release.concluded": [() => "泄漏已停止", () => "Release concluded"],
  "worksafety.grade.changed": [
    (d) => `重大危险源分级变为${d.grade ? `${"一二三四"[d.grade - 1]}级` : "不构成"}（R = ${number(d.index, 1)}）`,
    (d) => `Major hazard source regraded: ${d.grade ? `grade ${d.grade}` : "none any more"} (R = ${number(d.index, 1)})`],
  "worksafety.threshold.exceeded": [
    (d) => `传感器超阈：${d.property} ${number(d.value, 1)} ${unit(d.unit)}（阈值 ${number(d.threshold, 1)}，${d.level === "alarm_high" ? "高报" : "低报"}）`,
    (d) => `Sensor above threshold: ${d.property} ${number(d.value, 1)} ${unit(d.unit)} (threshold ${number(d.threshold, 1)}, ${d.level === "alarm_high" ? "second" : "first"} alarm)`],
  "traffic.closure.opened": [
    (d) => `封路${d.revision > 1 ? `第 ${d.revision} 版` : ""}：因${named(REASONS, d.reason)}，${number(d.arcs)} 个路段`,
    (d) => `Closure${d.revision > 1 ? `, revision ${d.revision}` : ""} for ${named(REASONS, d.reason)}: ${number(d.arcs)} road sections`],
  "traffic.closure.ended": [() => "道路恢复通行", () => "Road open again"],
  "traffic.incident.reported": [(d) => `道路事件：${named(TRAFFIC, d.kind)}，${named(SEVERITY, d.severity)}`, (d) => `On the road: ${named(TRAFFIC, d.kind)}, ${named(SEVERITY, d.severity)}`],
  "traffic.network.replaced": [(d) => `路网更新：${number(d.arcs)} 个路段`, (d) => `Road network replaced: ${number(d.arcs)} sections`],
  "food.inspection.failed": [
    (d) => `食品检查不合格${d.score !== null ? `，${number(d.score)} 分` : ""}${d.high_risks ? `，${d.high_risks} 项高风险` : ""}`,
    (d) => `Food inspection failed${d.score !== null ? `, score ${number(d.score)}` : ""}${d.high_risks ? `, ${d.high_risks} high-risk findings` : ""}`],
  "food.sample.failed": [
    (d) => `样品不合格：${d.analyte} ${number(d.value, 2)} ${unit(d.unit)}，限值 ${number(d.limit, 2)}`,
    (d) => `Sample failed: ${d.analyte} ${number(d.value, 2)} ${unit(d.unit)}, limit ${number(d.limit, 2)}`],
  "food.recall.opened": [
    (d) => `食品召回${d.grade ? `（${d.grade} 级）` : ""}：${d.lots.length} 个批次，涉及 ${number(d.premises)} 家场所`,
    (d) => `Food recall${d.grade ? ` (class ${d.grade})` : ""}: ${d.lots.length} lots, ${number(d.premises)} premises`],
  "hub.incident.opened": [(d) => `事件立案：${incidentKind(d.kind)}${d.exercise ? "（演练）" : ""}`, (d) => `Incident opened: ${incidentKind(d.kind)}${d.exercise ? " (exercise)" : ""}`],
  "hub.incident.graded": [(d) => `事件定级：${half(d.reason)}`, (d) => `Incident graded: ${half(d.reason)}`],
  "hub.task.assigned": [(d) => `向${named(SERVICES, d.sector)}下达任务：${half(d.what)}`, (d) => `Task for ${named(SERVICES, d.sector)}: ${half(d.what)}`],
  "hub.task.answered": [(d) => `${named(SERVICES, d.sector)}任务${named(STATES, d.state)}`, (d) => `${named(SERVICES, d.sector)}: task ${named(STATES, d.state)}`],
  "hub.incident.reopened": [(d) => `事件重新处置：${half(d.reason)}`, (d) => `Incident reopened: ${half(d.reason)}`],
  "hub.response.set": [(d) => `${d.authority}调整响应级别：${half(d.reason)}`, (d) => `${d.authority} set its response: ${half(d.reason)}`],
  "hub.incident.closed": [() => "事件结束", () => "Incident closed"],
  "hub.warning.issued": [(d) => `预警${named(KIND_OF_WARNING, d.kind)}：${headline(d)}`, (d) => `Warning ${named(KIND_OF_WARNING, d.kind)}: ${headline(d)}`],
  "intercity.agreement.changed": [(d) => `与 ${d.peer} 的协议${named(STATES, d.state)}`, (d) => `Agreement with ${d.peer} ${named(STATES, d.state)}`],
  "intercity.warning.received": [(d) => `收到 ${d.peer} 的预警：${headline(d)}`, (d) => `Warning from ${d.peer}: ${headline(d)}`],
  "intercity.warning.acknowledged": [(d) => `${d.peer} 已收到预警`, (d) => `${d.peer} has taken the warning in`],
  "intercity.message.refused": [(d) => `拒绝来自 ${d.peer} 的消息（${String(d.problem).split("/").pop()}）`, (d) => `Message from ${d.peer} refused (${String(d.problem).split("/").pop()})`],
};

/** What an event says; its type and subject in plain words where there is no template or its data are not as expected. */
export function said(event) {
  const type = event.type.replace(/\.v\d+$/, "");
  const template = EVENTS[type]?.[zh() ? 0 : 1];
  if (template) {
    try { return template(event.data ?? {}); } catch { /* data of another version: say what is certain */ }
  }
  const [, ...rest] = type.split(".");
  return `${rest.join(" ").replaceAll("_", " ")} · ${event.subject}`;
}

export const spoke = (event) => named(SERVICES, event.source.split("/").pop());
export const where = (event) => (event.area ? nameOf(event.area) : "");

const ROMAN = { I: "Ⅰ", II: "Ⅱ", III: "Ⅲ", IV: "Ⅳ" };
const GRADES = { I: ["特别重大", "extremely serious"], II: ["重大", "serious"], III: ["较大", "large"], IV: ["一般", "ordinary"] };
const LEVELS = { I: ["红色", "Red"], II: ["橙色", "Orange"], III: ["黄色", "Yellow"], IV: ["蓝色", "Blue"] };

/** The scales that an event or a row names, each in its own words: they never mix. */
export function scales({ incidentgrade, warninglevel, responselevel }) {
  const found = [];
  if (incidentgrade) found.push({ level: incidentgrade, scale: "grade", text: zh() ? `${named(GRADES, incidentgrade)}（${ROMAN[incidentgrade]}级）` : `Incident ${incidentgrade}, ${named(GRADES, incidentgrade)}` });
  if (warninglevel) found.push({ level: warninglevel, scale: "warning", text: zh() ? `${named(LEVELS, warninglevel)}预警` : `${named(LEVELS, warninglevel)} warning` });
  if (responselevel) found.push({ level: responselevel, scale: "response", text: zh() ? `${ROMAN[responselevel]}级响应` : `Response ${responselevel}` });
  return found;
}
