// The hooks, in a real React (REACT=18 or 19) on a real DOM, against real nodes.

import "./react-dom.mjs";

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { WORLD, control, createAnswer, createJob, name, publish, step, token, until } from "./support.mjs";

const { StrictMode, createElement, version } = await import("react");
const { flushSync } = await import("react-dom");
const { createRoot } = await import("react-dom/client");
const { useAnswer, useEvents, useJob } = await import("../../gateway/web/client/react.js");

const roots = [];
/** Shows `Component` and returns how to show it with other properties, and how to take it away. */
function show(Component, props) {
  const root = createRoot(document.getElementById("root").appendChild(document.createElement("div")));
  roots.push(root);
  const render = (next) => flushSync(() => root.render(createElement(StrictMode, null, createElement(Component, next))));
  render(props);
  return { render, remove: () => root.unmount() };
}

const requests = [];
const counted = (url, init) => {
  const entry = { url: String(url), init, over: false };
  requests.push(entry);
  init.signal.addEventListener("abort", () => (entry.over = true));
  return fetch(url, init);
};
const options = (more = {}) => ({ baseUrl: WORLD.base, token: token("ann"), fetch: counted, minDelayMs: 50, ...more });

let view;
function Job({ id, more }) {
  view = useJob(id, options(more));
  return createElement("p", null, `${view.status} ${view.progress}`);
}

afterEach(async () => {
  for (const root of roots.splice(0)) root.unmount();
  await until(() => requests.every(({ over }) => over), "all streams to be closed");
  requests.length = 0;
});

test("the version of React is the one that is meant", () => {
  assert.equal(version.split(".")[0], process.env.REACT);
});

test("useJob shows a job from its state to its end, with one connection under StrictMode", async () => {
  const job = name();
  await createJob(job);
  show(Job, { id: job });
  assert.deepEqual([view.job, view.status, view.connectionState], [null, null, "connecting"]);
  await until(() => view.status === "pending" && view.connectionState === "open");
  await step(job, { progress: 40, stage: "render", message: "Painting", current: 4, total: 10 });
  await until(() => view.progress === 40);
  assert.deepEqual([view.status, view.stage, view.message, view.current, view.total], ["active", "render", "Painting", 4, 10]);
  assert.match(document.body.textContent, /active 40/);
  await step(job, { item: { item_id: "f1", filename: "a.png" } });
  await until(() => view.items.length === 1);
  await step(job, { status: "completed", result: { pages: 3 } });
  await until(() => view.finished && view.connectionState === "closed");
  assert.deepEqual([view.status, view.result, view.error, view.connectionError], ["completed", { pages: 3 }, null, null]);
  assert.equal(requests.length, 1);
});

test("a job that fails shows why", async () => {
  const job = name();
  await createJob(job);
  show(Job, { id: job });
  await until(() => view.status === "pending");
  await step(job, { status: "failed", error: { message: "no paper", code: "E1" } });
  await until(() => view.finished);
  assert.deepEqual([view.status, view.error.message, view.error.code], ["failed", "no paper", "E1"]);
});

test("new renders, new functions and a renewed token connect nothing anew", async () => {
  const job = name();
  await createJob(job);
  const seen = [];
  const { render } = show(Job, { id: job, more: { onEvent: () => seen.push("old") } });
  await until(() => view.status === "pending");
  seen.length = 0;
  const changed = { token: token("ann", { ttl: 700 }), lastEventId: "x", events: { "job.progress": () => seen.push("handler") } };
  render({ id: job, more: { ...changed, onEvent: ({ type }) => seen.push(type) } });
  await step(job, { progress: 5 });
  await until(() => view.progress === 5);
  assert.deepEqual(seen, ["job.started", "job.progress", "handler"]);
  assert.equal(requests.length, 1);
});

test("another job shows nothing of the one before", async () => {
  const [first, second] = [name(), name()];
  await createJob(first);
  await createJob(second);
  await step(first, { progress: 70 });
  const { render } = show(Job, { id: first });
  await until(() => view.progress === 70);
  const views = [];
  render({ id: second, more: { onStateChange: () => views.push(view.progress) } });
  assert.equal(view.progress, 0);
  await until(() => view.status === "pending");
  assert.ok(views.every((progress) => progress === 0));
  assert.equal(view.job.job_id, second);
  assert.ok(requests[0].over);
});

test("without an id, or switched off, nothing is connected", async () => {
  const job = name();
  await createJob(job);
  const { render } = show(Job, { id: null });
  render({ id: job, more: { enabled: false } });
  assert.equal(requests.length, 0);
  render({ id: job });
  await until(() => view.status === "pending");
  render({ id: null });
  assert.deepEqual([view.job, requests.length], [null, 1]);
});

test("a component that is gone hears nothing more", async () => {
  const job = name();
  await createJob(job);
  const heard = [];
  const more = { onEvent: ({ type }) => heard.push(type), onClose: () => heard.push("close"), onStateChange: ({ state }) => heard.push(state) };
  const { remove } = show(Job, { id: job, more });
  await until(() => view.status === "pending");
  heard.length = 0;
  remove();
  await until(() => requests[0].over);
  await step(job, { progress: 5 });
  assert.deepEqual(heard, []);
});

test("trouble is shown and goes away by itself", async () => {
  const job = name();
  await createJob(job);
  show(Job, { id: job });
  await until(() => view.connectionState === "open");
  await control("refuse");
  await control("cut");
  await until(() => view.connectionError?.code === "network");
  assert.equal(view.status, "pending");
  await control("restore");
  await until(() => view.connectionState === "open" && view.connectionError === null);
});

test("a job that is not there is an error of the connection", async () => {
  show(Job, { id: "nobody-knows-it" });
  await until(() => view.connectionState === "closed");
  assert.deepEqual([view.connectionError.code, view.connectionError.final], ["not_found", true]);
});

test("a refused token begins anew with the next one", async () => {
  const job = name();
  await createJob(job);
  const { render } = show(Job, { id: job, more: { token: token("ann", { ttl: -60 }) } });
  await until(() => view.connectionError?.code === "unauthorized");
  render({ id: job, more: { token: token("ann") } });
  await until(() => view.status === "pending");
  assert.equal(view.connectionError, null);
});

let events;
function Events({ target, more }) {
  events = useEvents(target, options(more));
  return null;
}

test("useEvents keeps the newest events, of lists of channels that are new in every render, too", async () => {
  const topic = `topic:${name()}`;
  const more = { token: token("ann", { channels: [topic] }), keep: 2, events: { tick: ({ data }) => ticks.push(data) } };
  const ticks = [];
  const { render } = show(Events, { target: [topic], more });
  await until(() => events.connectionState === "open");
  for (const n of [1, 2, 3]) await publish(topic, "tick", n);
  render({ target: [topic], more });
  await until(() => events.lastEvent?.data === 3);
  assert.deepEqual(events.events.map(({ data }) => data), [2, 3]);
  assert.deepEqual(ticks, [1, 2, 3]);
  assert.equal(requests.length, 1);
});

let answer;
function Answer({ named, more }) {
  answer = useAnswer(named, options(more));
  return null;
}

test("useAnswer shows an answer while it is written, of a chat and of a job, and over its node's death", async () => {
  const chat = name("c");
  const job = await createAnswer(chat);
  const { render } = show(Answer, { named: null });
  assert.deepEqual([answer.text, answer.parts, answer.finished], ["", [], false]);
  render({ named: { chat } });
  await until(() => answer.status === "pending");
  await step(job, { status: "active" });
  await step(job, { text: "Hel" });
  render({ named: { chat } });
  await until(() => answer.text === "Hel");
  await control("kill", "0");
  await control("target", "1");
  await step(job, { text: "lo" });
  await until(() => answer.text === "Hello");
  assert.deepEqual([answer.jobId, answer.parts], [job, [{ type: "text", text: "Hello" }]]);
  await step(job, { status: "failed", error: { message: "no more words" } });
  await until(() => answer.finished && answer.connectionState === "closed");
  assert.deepEqual([answer.error.message, answer.connectionError], ["no more words", null]);
  render({ named: job });
  await until(() => answer.finished && answer.text === "Hello");
  render({ named: { chat } });
  await until(() => answer.connectionState === "closed" && answer.answer === null);
  await control("start", "0");
});
