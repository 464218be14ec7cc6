// Who is signed in. The token lives in sessionStorage: a reload or a restarted hub asks nobody again, the tab's end forgets it,
// and no other tab or site sees it. The password or secret is never kept; a token is renewed by itself before it ends.
import { now, setClock } from "./dom.js";

const KEPT = "liandong.session";
const listeners = new Set();
let held = read();
let timer = 0;

function read() {
  try { return JSON.parse(sessionStorage.getItem(KEPT)); } catch { return null; }
}

function keep(value) {
  held = value;
  try { value ? sessionStorage.setItem(KEPT, JSON.stringify(value)) : sessionStorage.removeItem(KEPT); } catch { /* in memory, then */ }
}

export const signedIn = () => held !== null;
export const who = () => held?.name ?? "";
export const onChange = (listener) => listeners.add(listener);
const tell = (why) => { for (const listener of listeners) listener(why); };

/** An answer of the hub, with the token if there is one. A 401 ends the sign-in; a network failure throws. */
export async function ask(path, options = {}) {
  const token = held?.token;
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  setClock(answer.headers.get("date"));
  if (answer.status === 401 && token && held?.token === token) end("expired");
  return answer;
}

function take(granted, name) {
  keep({ token: granted.access_token, ends: now() + granted.expires_in * 1000, life: granted.expires_in, name });
  schedule();
}

/** A person's name and password, or a client's id and secret. Resolves to "" or to the key of the text that says what is wrong. */
export async function signIn(name, secret, kind) {
  const person = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name, password: secret }) };
  const client = { method: "POST", body: new URLSearchParams({ grant_type: "client_credentials", client_id: name, client_secret: secret }) };
  let answer;
  try {
    answer = await fetch(kind === "client" ? "oauth/token" : "sign-in", { ...(kind === "client" ? client : person), cache: "no-store", credentials: "omit" });
  } catch {
    return "unreachable";
  }
  setClock(answer.headers.get("date"));
  if (answer.ok) {
    const granted = await answer.json();
    if (!granted.scope.split(" ").includes("hub:query")) return "noRight";
    take(granted, name);
    tell("signed in");
    return "";
  }
  return answer.status === 429 ? "tooMany" : answer.status >= 500 ? "unreachable" : "wrong";
}

export function end(why) {
  clearTimeout(timer);
  keep(null);
  tell(why);
}

/** Renew when a fifth of the token's life is left, and again soon if the hub cannot be reached. */
function schedule() {
  clearTimeout(timer);
  if (held) timer = setTimeout(renew, Math.max(1000, held.ends - now() - held.life * 200));
}

async function renew() {
  try {
    const answer = await ask("me/token", { method: "POST" });
    if (answer.ok && held) take(await answer.json(), held.name);
    else if (answer.status >= 500) timer = setTimeout(renew, 5000);
  } catch {
    timer = setTimeout(renew, 5000);
  }
}

schedule();
