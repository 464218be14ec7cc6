// The page: what it holds, when it asks, and what it says when the hub is lost, a sign-in ends or a source is down.
import * as areas from "./areas.js";
import { absolute, ago, byId, clock, day, now, setZone, show, tick } from "./dom.js";
import * as indicators from "./indicators.js";
import * as map from "./map.js";
import * as panels from "./panels.js";
import * as session from "./session.js";
import * as stream from "./stream.js";
import { language, pick, setLanguage, t } from "./texts.js";

const POLL_MS = 5000; // the hub answers from what it has unless something happened; the sectors do not notice
const TROUBLE_MS = 2000; // while something is missing
const SETTLE_MS = 800; // after an event, for those that come with it
const KEPT = 200;

const held = { overview: null, tag: null, events: [], fresh: Infinity, link: "connecting", reached: true, why: "" };
let asking = null;
let again = false;
let settle = 0;

function choose(code) {
  if (code === null) areas.clear();
  else areas.choose(code);
  render();
}

function pickIndicator(id) {
  indicators.choose(id);
  render();
}

function render() {
  const { overview } = held;
  const indicator = indicators.currentOf(overview);
  indicators.tiles(overview, pickIndicator);
  indicators.legend(indicator, map.paint(indicator, overview?.scope));
  indicators.table(overview, choose);
  const open = overview ? panels.rowsOf(overview.lists.incidents) : [];
  map.shapes(overview ? panels.rowsOf(overview.lists.outlines) : [], overview ? panels.rowsOf(overview.lists.closures) : []);
  map.mark(held.events.slice(0, 30), open, held.fresh);
  panels.events(held.events, overview ? (overview.events === null ? "unreadable" : "") : "waiting", held.fresh);
  panels.incidents(overview);
  panels.coverage(overview);
  show(byId("place"), [areas.chosen, language()], () => {
    if (!areas.chosen) return [];
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${areas.nameOf(areas.chosen)} ✕`;
    button.title = t("clear");
    button.addEventListener("click", () => choose(null));
    return [button];
  });
  status();
}

/** The strip and the chips: one place that always says how far what is seen can be trusted. */
function status() {
  const { overview } = held;
  const at = overview ? absolute(overview.made_at) : "";
  const since = overview ? ago(overview.made_at) : "";
  const strip = byId("strip");
  const lacking = overview ? panels.missing(overview) : [];
  let [text, kind] = [t("stripWait"), ""];
  if (!held.reached) [text, kind] = [overview ? t("stripLost", at, since) : t("stripNoView"), "bad"];
  else if (!session.signedIn()) [text, kind] = overview ? [t("stripExpired", at, since), "bad"] : [t("stripOut"), ""];
  else if (overview && held.link === "lost") [text, kind] = [t("stripLost", at, since), "bad"];
  else if (overview && overview.complete) [text, kind] = [t("stripGood", at), "good"];
  else if (overview) [text, kind] = [t("stripMissing", at, lacking.join(language() === "zh" ? "；" : "; ")), "warn"];
  const gone = overview && kind !== "bad" ? panels.absent(overview) : [];
  if (gone.length) text += ` ${t("notShared", gone.join(language() === "zh" ? "、" : ", "))}`;
  if (overview && kind !== "bad" && !overview.scope.areas.includes("*")) text += ` ${t("limited")}`;
  if (strip.textContent !== text) strip.textContent = text;
  strip.title = text;
  strip.className = `strip ${kind}`;
  const link = !held.reached ? "lost" : !session.signedIn() ? "signedOut" : held.link;
  chip("connection", t(link), { live: "good", lost: "bad" }[link] ?? "");
  const stale = overview && (link === "lost" || !session.signedIn());
  chip("complete", !overview ? "" : overview.complete ? t("completeYes") : t("completeNo", lacking.length), !overview || stale ? "" : overview.complete ? "good" : "warn");
  byId("account").textContent = session.signedIn() ? `${session.who()} · ${t("signOut")}` : t("signIn");
}

function chip(id, text, kind) {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
  node.className = `chip ${kind}`;
  node.hidden = !text;
}

function words() {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  const name = pick(areas.city.name ?? {}) || (language() === "zh" ? "联动" : "Liandong");
  byId("city").textContent = name;
  document.title = t("title", name);
  byId("language").textContent = t("language");
  byId("language").lang = language() === "zh" ? "en" : "zh-CN";
  map.words();
  time();
}

function time() {
  const text = `${day(now())} ${clock(now())}`;
  if (byId("clock").textContent !== text) byId("clock").textContent = text;
}

/** One overview at a time; who asks meanwhile is served by one more. `after`: it must know of the events up to there. */
function refresh() {
  if (!session.signedIn()) return;
  if (asking) { again = true; return; }
  again = false;
  asking = fetchOverview().finally(() => {
    asking = null;
    if (again) refresh();
  });
}

async function fetchOverview() {
  const after = stream.position() ?? 0;
  try {
    const answer = await session.ask(`overview?after=${after}`, { headers: held.tag ? { "If-None-Match": held.tag } : {}, signal: AbortSignal.timeout(15000) });
    reached(answer.status < 500 || answer.status === 503);
    if (answer.status === 403) return session.end("noRight");
    if (answer.status === 200) take(await answer.json(), answer.headers.get("etag"));
  } catch {
    reached(false);
  }
  render();
}

function reached(yes) {
  if (yes && !held.reached) stream.hurry();
  held.reached = yes;
}

function take(overview, tag) {
  if (!session.signedIn()) return;
  const first = held.overview === null;
  held.overview = overview;
  held.tag = tag;
  if (overview.events) merge(overview.events);
  if (first) held.fresh = held.events[0]?.position ?? overview.position;
  stream.follow(stream.position() ?? Math.max(overview.position, held.events[0]?.position ?? 0), took, (state) => {
    if (held.link === state) return;
    held.link = state;
    if (state === "live") refresh();
    status();
  });
}

function merge(found) {
  const known = new Set(held.events.map((each) => each.position));
  held.events = [...found.filter((each) => !known.has(each.position)), ...held.events].sort((a, b) => b.position - a.position).slice(0, KEPT);
}

function took(position, event) {
  merge([{ position, event }]);
  render();
  clearTimeout(settle);
  settle = setTimeout(refresh, SETTLE_MS);
}

async function loadMap() {
  try {
    const answer = await fetch("map", { credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    const drawn = await answer.json();
    setZone(drawn.timezone);
    if (drawn.version !== areas.city.version || drawn.areas.length !== areas.city.areas.length) {
      areas.take(drawn);
      map.draw(choose);
      words();
    }
    reached(true);
  } catch {
    if (!areas.city.areas.length) { reached(false); setTimeout(loadMap, 3000); }
  }
  render();
}

function askToSignIn(why) {
  byId("sign-in-why").textContent = t(why);
  byId("fault").textContent = "";
  if (!byId("sign-in").open) byId("sign-in").show();
  if (matchMedia("(min-width: 760px)").matches) byId("name").focus({ preventScroll: true });
}

session.onChange((why) => {
  held.why = why;
  if (why === "signed in") {
    byId("sign-in").close();
    byId("password").value = "";
    held.tag = null;
    refresh();
  } else if (why === "signed out") {
    Object.assign(held, { overview: null, tag: null, events: [], fresh: Infinity });
    askToSignIn("signInWhy");
  } else askToSignIn(why);
  render();
});

byId("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const kind = new FormData(event.target).get("kind");
  const fault = await session.signIn(byId("name").value.trim(), byId("password").value, kind);
  byId("fault").textContent = fault ? t(fault) : "";
});
byId("account").addEventListener("click", () => (session.signedIn() ? session.end("signed out") : byId("sign-in").open ? byId("sign-in").close() : askToSignIn("signInWhy")));
byId("language").addEventListener("click", () => {
  setLanguage(language() === "zh" ? "en" : "zh");
  words();
  tick();
  if (byId("sign-in").open) byId("sign-in-why").textContent = t(held.why === "expired" ? "expired" : "signInWhy");
  render();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) { refresh(); stream.hurry(); } });
addEventListener("online", () => { refresh(); stream.hurry(); });

setInterval(() => { time(); tick(); if (!held.reached || held.link === "lost" || !session.signedIn()) status(); }, 1000);
(function poll() {
  const good = held.reached && held.overview?.complete && held.link === "live";
  setTimeout(() => { if (!document.hidden) refresh(); poll(); }, good ? POLL_MS : TROUBLE_MS);
})();
setInterval(() => { if (!document.hidden) loadMap(); }, 60 * POLL_MS);

words();
render();
loadMap();
if (session.signedIn()) refresh();
else askToSignIn("signInWhy");
