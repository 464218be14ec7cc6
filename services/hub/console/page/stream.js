// The city's events as they happen: server-sent events over fetch, since EventSource cannot send a token. Resumes after the last position.
import { ask, signedIn } from "./session.js";

const SILENCE_MS = 25000; // the hub shows every 10 s that it lives
const FIRST_MS = 500;
const LONGEST_MS = 15000;

let last = null;
let running = null;
let pause = FIRST_MS;
let wake = () => {};

export const position = () => last;

/** Run from after `after` on, once; `took(position, event)` for each event, `state("live" | "lost" | "connecting")` as it changes. */
export function follow(after, took, state) {
  if (last === null || after > last) last = after;
  running ??= run(took, state).finally(() => { running = null; });
}

/** Try again at once: the hub has answered something else, or the network is back. */
export const hurry = () => wake();

async function run(took, state) {
  while (signedIn()) {
    const reason = await once(took, state);
    if (!signedIn()) return;
    if (reason === "token-expired") continue;
    state(reason === "closed" ? "connecting" : "lost");
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, pause * (0.8 + 0.4 * Math.random()));
    });
    pause = Math.min(LONGEST_MS, pause * 2);
  }
}

async function once(took, state) {
  const stop = new AbortController();
  let watch = 0;
  const alive = () => {
    clearTimeout(watch);
    watch = setTimeout(() => stop.abort(), SILENCE_MS);
  };
  try {
    alive();
    const answer = await ask("events/stream", { headers: { Accept: "text/event-stream", "Last-Event-ID": String(last ?? 0) }, signal: stop.signal });
    if (answer.status === 400) last = 0; // another log than the one we knew: begin again
    if (!answer.ok) return `status ${answer.status}`;
    return await read(answer.body.getReader(), alive, took, state);
  } catch {
    return "failed";
  } finally {
    clearTimeout(watch);
    stop.abort();
  }
}

async function read(reader, alive, took, state) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return "closed";
    alive();
    text += decoder.decode(value, { stream: true });
    const frames = text.split("\n\n");
    text = frames.pop();
    for (const frame of frames) {
      const fields = parsed(frame);
      state("live");
      pause = FIRST_MS;
      if (fields.id) last = Number(fields.id);
      if (fields.event === "closed") return JSON.parse(fields.data).reason;
      if (fields.data) took(Number(fields.id), JSON.parse(fields.data));
    }
  }
}

function parsed(frame) {
  const fields = {};
  for (const line of frame.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 1) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    fields[name] = name === "data" && name in fields ? `${fields.data}\n${value}` : value;
  }
  return fields;
}
