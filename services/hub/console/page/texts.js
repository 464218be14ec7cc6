// What a person reads, in Chinese and in English. `t("key", …)` gives the words of the language that is shown.

const KEPT = "liandong.language";
let shown = begin();

function begin() {
  let kept = null;
  try { kept = localStorage.getItem(KEPT); } catch { /* a browser that keeps nothing */ }
  if (kept === "zh" || kept === "en") return kept;
  return (navigator.languages ?? [navigator.language]).some((name) => name?.toLowerCase().startsWith("zh")) ? "zh" : "en";
}

export const language = () => shown;

export function setLanguage(name) {
  shown = name;
  try { localStorage.setItem(KEPT, name); } catch { /* it is asked for again next time */ }
}

/** One of a pair `{zh, en}`; the other where one is missing. */
export const pick = (pair) => pair?.[shown] ?? pair?.zh ?? pair?.en ?? "";

export function t(key, ...values) {
  const found = TEXTS[key];
  if (!found) return key;
  const text = found[shown === "zh" ? 0 : 1];
  return typeof text === "function" ? text(...values) : text;
}

export const TEXTS = {
  skip: ["跳到实时事件", "Skip to live events"],
  title: [(city) => `${city} · 联动`, (city) => `${city} · Liandong`],
  language: ["English", "中文"],
  map: ["城市态势", "The city now"],
  incidents: ["事件与预警", "Incidents and warnings"],
  events: ["实时事件", "Live events"],
  table: ["各区数据", "By district"],
  coverage: ["数据来源", "Sources"],
  signIn: ["登录", "Sign in"],
  signOut: ["退出", "Sign out"],
  name: ["用户名", "Name"],
  password: ["密码", "Password"],
  kind: ["身份", "Account"],
  person: ["个人", "Person"],
  client: ["系统客户端", "Machine client"],
  clientHint: ["以 make run 启动的城市：系统客户端 duty，密钥见 var/run.json。", "A city of make run: machine client duty; its secret is in var/run.json."],
  signInWhy: ["区划公开可见；其余内容需要登录。", "Areas are public; all else needs a sign-in."],
  expired: ["登录已过期，请重新登录。画面保留在过期前的状态。", "Your sign-in has ended. Sign in again; the view stays as it was."],
  wrong: ["用户名或密码不正确，或账号已停用、暂时锁定。", "The name or the password is wrong, or the account is disabled or shut for a while."],
  noRight: ["该账号无权查询（需要 hub:query）。", "This account may not ask (it needs hub:query)."],
  tooMany: ["尝试过于频繁，请稍候再试。", "Too many tries; wait a moment."],
  unreachable: ["枢纽没有应答，请稍后再试。", "The hub does not answer; try again in a moment."],
  live: ["实时", "Live"],
  connecting: ["连接中", "Connecting"],
  lost: ["已断开", "Cut off"],
  signedOut: ["未登录", "Not signed in"],
  stripOut: ["区划公开可见。登录后显示事件、指标与来源。", "Areas are public. Sign in to see events, figures and sources."],
  stripWait: ["正在取得总览……", "Fetching the overview…"],
  stripLost: [(at, since) => `与枢纽失去联系。画面停留在 ${at}（${since}），正在重连。`,
    (at, since) => `The hub does not answer. The view is of ${at} (${since}). Reconnecting.`],
  stripNoView: ["枢纽没有应答，正在重连。", "The hub does not answer. Reconnecting."],
  stripExpired: [(at, since) => `登录已过期。画面停留在 ${at}（${since}）。`, (at, since) => `Your sign-in has ended. The view is of ${at} (${since}).`],
  stripGood: [(at) => `截至 ${at}：所问来源全部答复。`, (at) => `As of ${at}: every source that was asked has answered.`],
  stripMissing: [(at, what) => `截至 ${at}，数据不完整。缺：${what}。`, (at, what) => `As of ${at}, incomplete. Missing: ${what}.`],
  notShared: [(what) => `本城或您的权限内没有：${what}。`, (what) => `Not shared in this city, or not with you: ${what}.`],
  limited: ["仅限您的区域。", "Your areas only."],
  completeYes: ["来源齐全", "Complete"],
  completeNo: [(n) => `缺 ${n} 项`, (n) => `${n} missing`],
  schematic: ["示意图：每格一个街道或乡镇，位置和形状不代表实际", "Schematic: a tile for each town or street; places and shapes are not real"],
  partly: ["无边界数据的区域以方块列于图下", "Areas without a polygon stand as blocks below the map"],
  whole: ["全市", "Whole city"],
  clear: ["显示全市", "Show the whole city"],
  hint: ["点选一个区，再点选街道；方向键移动，回车选择，Esc 取消", "Choose a district, then a street; arrow keys move, Enter chooses, Esc clears"],
  noData: ["无数据", "No data"],
  missing: ["缺失", "Missing"],
  absent: ["未共享", "Not shared"],
  last24: ["近 24 小时", "Last 24 hours"],
  district: ["区县", "District"],
  noDistrict: ["仅到市级", "City level only"],
  perHour: ["每小时", "By hour"],
  none: [(what) => `当前没有${what}。`, (what) => `No ${what} now.`],
  openIncidents: ["进行中的事件", "open incidents"],
  openWarnings: ["生效中的预警", "warnings in force"],
  incidentsHead: ["事件", "Incidents"],
  warningsHead: ["预警", "Warnings"],
  placesHead: ["危险区与封路", "Outlines and closures"],
  partAbsent: [(what) => `本城的枢纽尚未共享${what}。`, (what) => `This city's hub does not share ${what} yet.`],
  partFailed: [(what) => `${what}暂时无法取得。`, (what) => `${what} cannot be had now.`],
  more: ["仅显示最近 100 条。", "Only the newest 100 are shown."],
  waiting: ["登录后显示", "Shown after sign-in"],
  noEvents: ["此范围内暂无事件", "Nothing has happened here lately"],
  eventsLost: ["事件日志暂时无法读取", "The event log cannot be read now"],
  inset: ["放大（按比例）", "Enlarged, to scale"],
  rows: [(n) => `${n} 行`, (n) => `${n} ${n === 1 ? "row" : "rows"}`],
  asOf: ["截至", "as of"],
  since: ["自", "since"],
  lastSeen: ["最后应答", "last seen"],
  never: ["从未应答", "never seen"],
  provisional: ["暂定", "provisional"],
  exercise: ["演练", "Exercise"],
  test: ["测试", "Test"],
  expires: ["有效至", "until"],
  area: ["区域", "Area"],
  newEvents: [(n) => `${n} 条`, (n) => `${n} shown`],
};

export const STATUS = {
  ok: ["正常", "answered"],
  stale: ["较旧", "an earlier answer"],
  timeout: ["超时", "did not answer in time"],
  error: ["出错", "failed"],
  denied: ["拒绝", "denied"],
  skipped: ["屡次失败，暂停询问", "left alone after failures"],
  up: ["在线", "up"],
  down: ["无应答", "does not answer"],
  unknown: ["尚未联系上", "not yet met"],
};

export const SERVICES = {
  hub: ["枢纽", "Hub"],
  food: ["食品安全", "Food safety"],
  traffic: ["交通", "Traffic"],
  fire: ["消防救援", "Fire and rescue"],
  env: ["生态环境", "Environment"],
  worksafety: ["安全生产", "Work safety"],
  community: ["社区", "Community"],
  intercity: ["城际网关", "Gateway"],
  water: ["水务", "Water"],
};

export const DATASETS = {
  "fire.calls": ["接警记录", "calls for service"],
  "env.observations": ["环境监测", "air observations"],
  "food.inspections": ["食品检查", "food inspections"],
  "traffic.incidents": ["交通事件", "traffic incidents"],
  "hub.incidents": ["事件", "incidents"],
  "hub.warnings": ["预警", "warnings"],
  "env.outlines": ["危险区", "outlines of danger"],
  "traffic.closures": ["封路", "road closures"],
};

/** The words for a code; the code itself, made readable, where there are none. */
export function named(table, code) {
  const found = table[code];
  return found ? found[shown === "zh" ? 0 : 1] : String(code ?? "").replaceAll("_", " ");
}

/** `430300/fire`: the service's own name, with the city where it is another one. */
export function sourceName(name, city) {
  const [where, service] = String(name).split("/");
  return where === city || !service ? named(SERVICES, service ?? where) : `${named(SERVICES, service)} ${where}`;
}
