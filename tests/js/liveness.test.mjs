// A connection that is silently dead is noticed; a page that was away comes back at once.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { connect } from "../../gateway/web/client/sse-client.js";
import { WORLD, control, createJob, name, publish, recorder, step, token, until } from "./support.mjs";

// The page that a browser would have, with the events that its window and document get.
class Page extends EventTarget {
  visibilityState = "visible";
}
const page = new Page();
const frame = new EventTarget();
globalThis.document = page;
globalThis.addEventListener = frame.addEventListener.bind(frame);
globalThis.removeEventListener = frame.removeEventListener.bind(frame);
const happen = (what, more = {}) => frame.dispatchEvent(Object.assign(new Event(what), more));
function show(state) {
  page.visibilityState = state;
  page.dispatchEvent(new Event("visibilitychange"));
}

const open = [];
function follow(target, more = {}) {
  const seen = recorder({ token: token("ann"), baseUrl: WORLD.base, ...more });
  seen.connection = connect(target, seen.options);
  open.push(seen.connection);
  return seen;
}
const isOpen = (seen, times = 1) => until(() => seen.connection.state === "open" && seen.opens.length >= times, () => `open: ${seen.errors}`);

afterEach(async () => {
  open.splice(0).forEach((connection) => connection.close());
  show("visible");
  await control("restore");
});

test("heartbeats are asked for and kept from the handlers", async () => {
  const requests = [];
  const seen = follow(["client:ann"], { fetch: (url, init) => requests.push(url) && fetch(url, init) });
  await isOpen(seen);
  assert.equal(new URL(requests[0]).searchParams.get("heartbeat"), "event");
  await control("blackhole");
  await control("restore");
  const word = name();
  await publish("client:ann", "note", word);
  await until(() => seen.published("note").includes(word));
  assert.ok(!seen.events.some(({ type }) => type === "stream.heartbeat"));
});

test("the silence of a dead line is noticed after some heartbeats, and nothing is lost over it", async () => {
  const seen = follow(["client:ann"]);
  await isOpen(seen);
  const began = Date.now();
  // Heartbeats, a third of a second apart, say how long a silence may be; before them it is 45 s.
  let beats = 0;
  const raw = await fetch(`${WORLD.base}/v1/clients/ann/events`, { headers: { Authorization: `Bearer ${token("ann")}` } });
  const reader = raw.body.getReader();
  const text = new TextDecoder();
  while (beats < 4) beats += (text.decode((await reader.read()).value).match(/: heartbeat/g) ?? []).length;
  await reader.cancel();
  await control("blackhole");
  const word = name();
  await publish("client:ann", "note", word);
  await until(() => seen.errors.some(({ code }) => code === "silence"), () => `silence: ${seen.errors}`, 15_000);
  assert.ok(Date.now() - began < 20_000);
  await control("cut");
  await control("restore");
  await until(() => seen.published("note").includes(word));
  assert.equal(seen.published("note").filter((each) => each === word).length, 1);
});

test("comments are signs of life where there are no heartbeat events", async () => {
  const job = name();
  await createJob(job);
  const seen = follow(`/api/v1/status/tasks/${job}/stream`, { silenceMs: 900 });
  await isOpen(seen);
  const began = Date.now();
  await until(() => Date.now() - began > 1500 || seen.errors.length > 0);
  assert.deepEqual(seen.errors, []);
  assert.equal(seen.opens.length, 1);
  await step(job, { status: "completed" });
});

test("a silence that is too long is noticed there as well", async () => {
  const job = name();
  await createJob(job);
  const seen = follow(`/api/v1/status/tasks/${job}/stream`, { silenceMs: 150 });
  await until(() => seen.errors.some(({ code }) => code === "silence"));
});

test("a page whose network is back connects anew at once", async () => {
  const seen = follow(["client:ann"], { minDelayMs: 30_000, maxDelayMs: 30_000 });
  await isOpen(seen);
  happen("online");
  await isOpen(seen, 2);
  await control("refuse");
  await control("cut");
  await until(() => seen.connection.state === "waiting");
  await control("restore");
  happen("online");
  await isOpen(seen, 3);
  assert.ok(seen.opens.slice(1).every(({ resumed }) => resumed));
});

test("a page out of the back/forward cache connects anew at once", async () => {
  const seen = follow(["client:ann"]);
  await isOpen(seen);
  happen("pageshow", { persisted: false });
  happen("pageshow", { persisted: true });
  await isOpen(seen, 2);
});

test("a page that is shown again goes on where its stream is alive", async () => {
  const seen = follow(["client:ann"]);
  await isOpen(seen);
  show("hidden");
  show("visible");
  const word = name();
  await publish("client:ann", "note", word);
  await until(() => seen.published("note").includes(word));
  assert.equal(seen.opens.length, 1);
});

test("a hidden page disconnects if it is to, and catches up when it is shown", async () => {
  const seen = follow(["client:ann"], { closeWhenHidden: true });
  await isOpen(seen);
  show("hidden");
  await until(() => seen.connection.state === "paused");
  assert.equal(seen.connection.readyState(), 0);
  const word = name();
  await publish("client:ann", "note", word);
  show("visible");
  await until(() => seen.published("note").includes(word));
  assert.deepEqual(seen.errors, []);
  const born = follow(["client:ann"], { closeWhenHidden: 50 });
  await isOpen(born);
  show("hidden");
  show("visible");
  await publish("client:ann", "note", "x");
  await until(() => born.published("note").includes("x"));
  assert.equal(born.opens.length, 1);
});

test("a closed connection leaves no listeners on the page", async () => {
  const added = [];
  const [add, remove] = [globalThis.addEventListener, globalThis.removeEventListener];
  globalThis.addEventListener = (...all) => added.push(all[0]) && add(...all);
  globalThis.removeEventListener = (...all) => added.splice(added.indexOf(all[0]), 1) && remove(...all);
  const seen = follow(["client:ann"]);
  await isOpen(seen);
  assert.ok(added.length > 0);
  seen.connection.close();
  [globalThis.addEventListener, globalThis.removeEventListener] = [add, remove];
  assert.deepEqual(added, []);
});
