// What the tests of the client share: the real nodes that pytest has started, tokens, waiting.

import { createHmac, randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

export const WORLD = JSON.parse(process.env.WORLD ?? "{}");
export const CLIENT = new URL("../../gateway/web/client/", import.meta.url);
export const name = (prefix = "j") => `${prefix}-${randomBytes(5).toString("hex")}`;

/** Ask the pytest side: `kill`, `start`, `freeze`, `target` (of the proxy), `cut`, `blackhole`, `restore`, `refuse`, `answer`. */
export async function control(action, argument = "") {
  const response = await fetch(`${WORLD.control}/${action}/${argument}`, { method: "POST" });
  if (!response.ok) throw new Error(`${action}: ${await response.text()}`);
}

const base64url = (data) => Buffer.from(data).toString("base64url");

/** A token as an identity provider would make it; `ttl` in seconds. */
export function token(sub = "ann", { ttl = 600, ...claims } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const parts = [{ alg: "HS256", typ: "JWT" }, { sub, iat: now, exp: now + ttl, ...claims }];
  const text = parts.map((part) => base64url(JSON.stringify(part))).join(".");
  return `${text}.${createHmac("sha256", WORLD.secret).update(text).digest("base64url")}`;
}

async function call(method, path, body) {
  const headers = { Authorization: `Bearer ${token("worker", { scope: "publish" })}`, "Content-Type": "application/json" };
  const response = await fetch(WORLD.publish + path, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

export const createJob = (job_id, owner = "ann") => call("POST", "/v1/jobs", { job_id, kind: "media", owner });
export async function createAnswer(chat, owner = "ann", job_id = name("a")) {
  await control("answer", [chat, owner, job_id].join());
  return job_id;
}
export const step = (job_id, change) => call("PATCH", `/v1/jobs/${job_id}`, change);
export const publish = (channel, type, data) => call("POST", "/v1/events", { channel, type, data });

/** Returns what `condition` gives as soon as that is something; fails after `ms`. */
export async function until(condition, what = condition.toString(), ms = 10_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`Waited in vain for: ${typeof what === "function" ? what() : what}`);
    await pause(10);
  }
}

/** Options of `connect` that write down everything. */
export function recorder(more = {}) {
  const seen = { events: [], states: [], errors: [], opens: [], resets: [], closed: [] };
  seen.options = {
    onEvent: (event) => seen.events.push(event),
    onStateChange: (change) => seen.states.push(change),
    onError: (error) => seen.errors.push(error),
    onOpen: (info) => seen.opens.push(info),
    onReset: (reset) => seen.resets.push(reset),
    onClose: (closed) => seen.closed.push(closed),
    minDelayMs: 50,
    maxDelayMs: 500,
    ...more,
  };
  seen.published = (type) => seen.events.filter((event) => event.type === type).map((event) => event.data);
  return seen;
}

/** 1 … n. */
export const upTo = (n) => Array.from({ length: n }, (_, i) => i + 1);

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
export function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
