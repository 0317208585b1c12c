// Jobs: the picture that events add up to, and the progress stream.

import assert from "node:assert/strict";
import { test } from "node:test";

import { applyJobEvent, connect, createProgressStream } from "../../gateway/web/client/sse-client.js";
import { WORLD, createJob, name, step, token, until } from "./support.mjs";

const options = () => ({ baseUrl: WORLD.base, token: token("ann"), minDelayMs: 50 });

test("the events of a job add up to what the node says it is", async () => {
  const job = name();
  await createJob(job);
  let mine = null;
  const connection = connect(`/v1/jobs/${job}/events`, { ...options(), onEvent: (event) => (mine = applyJobEvent(mine, event)) });
  await until(() => mine?.status === "pending");
  const asked = async () => (await fetch(`${WORLD.base}/v1/jobs/${job}`, { headers: { Authorization: `Bearer ${token("ann")}` } })).json();
  const changes = [
    { progress: 10, stage: "read", message: "Reading", current: 1, total: 4 },
    { item: { item_id: "a", filename: "a.png", status: "processing", progress: 10 } },
    { item: { item_id: "b", filename: "b.png" } },
    { item: { item_id: "a", filename: "a.png", status: "done", progress: 100 } },
    { progress: 50 },
    { status: "completed", result: { pages: [1] } },
  ];
  for (const change of changes) {
    await step(job, change);
    const there = await asked();
    await until(() => mine.progress === there.progress && mine.status === there.status && mine.items.length === there.items.length);
    await until(() => JSON.stringify(Object.entries(mine).sort()) === JSON.stringify(Object.entries(there).sort()), () => `${JSON.stringify(mine)}\n${JSON.stringify(there)}`);
  }
  assert.deepEqual(await connection.closed, { reason: "finished" });
});

test("a job that is paused and tried again is shown so", () => {
  const told = (type, data) => (mine = applyJobEvent(mine, { type: `job.${type}`, data: { job_id: "j", ...data } }));
  let mine = null;
  assert.deepEqual([told("started", { status: "active", attempt: 1 }).attempt, mine.paused], [1, false]);
  assert.equal(told("progress", { progress: 30, stage: "cut", rate: 2, eta_s: 4 }).eta_s, 4);
  assert.equal(told("paused", { status: "active", paused: true }).paused, true);
  assert.equal(told("resumed", { status: "active", paused: false }).paused, false);
  const { status, attempt, message } = told("retrying", { status: "pending", attempt: 2, message: "Busy" });
  assert.deepEqual([status, attempt, message], ["pending", 2, "Busy"]);
});

test("applying events changes no job in place and ignores what is none of its business", () => {
  const job = Object.freeze({ job_id: "j", items: Object.freeze([]), progress: 3 });
  assert.equal(applyJobEvent(job, { type: "stream.open", data: {} }), job);
  assert.equal(applyJobEvent(job, { type: "mine", data: { job_id: "j", progress: 9 } }), job);
  assert.equal(applyJobEvent(job, { type: "job.progress", data: null }), job);
  assert.equal(applyJobEvent(null, { type: "job.failed", data: { job_id: "j", error: { message: "no" } } }).status, "failed");
  assert.equal(applyJobEvent(job, { type: "job.item", data: { job_id: "j", item_id: "a" } }).items.length, 1);
  assert.equal(applyJobEvent(job, { type: "job.progress", data: { job_id: "other", progress: 1 } }).job_id, "other");
});

function progress(job, more = {}) {
  const seen = { progress: [], files: [], completed: [], failed: [], tasks: [] };
  seen.stream = createProgressStream(job, {
    ...options(),
    onProgress: (data) => seen.progress.push(data),
    onFileUpdate: (data) => seen.files.push(data),
    onComplete: (data) => seen.completed.push(data),
    onError: (data) => seen.failed.push(data),
    onTaskUpdate: (task) => seen.tasks.push(task),
    ...more,
  });
  return seen;
}

test("a progress stream tells progress, files and the end, and then it is closed", async () => {
  const job = name("jøb/1");
  await createJob(job);
  const seen = progress(job);
  assert.equal(seen.stream.readyState(), 0);
  await until(() => seen.progress.length === 1);
  assert.equal(seen.stream.readyState(), 1);
  const path = encodeURIComponent(job);
  await step(path, { progress: 40, current: 2, total: 5, message: "Reading" });
  await step(path, { item: { item_id: "f1", filename: "a.png", status: "processing" } });
  await step(path, { item: { item_id: "f2", filename: "b.png" } });
  await step(path, { item: { item_id: "f1", status: "done", progress: 100 } });
  await step(path, { status: "completed", result: { pages: 3 } });
  await until(() => seen.completed.length === 1);
  assert.equal(seen.stream.readyState(), 2);
  assert.deepEqual(seen.progress.at(-1), { progress: 40, current: 2, total: 5, total_files: 5, message: "Reading", task_id: job, sequence: 3 });
  assert.deepEqual(seen.files.map(({ file_id, status }) => [file_id, status]), [["f1", "processing"], ["f2", undefined], ["f1", "done"]]);
  assert.deepEqual(seen.completed[0].result, { pages: 3 });
  assert.deepEqual(seen.failed, []);
  const task = seen.tasks.at(-1);
  assert.deepEqual([task.status, task.result.pages, task.files.map(({ file_id }) => file_id)], ["completed", 3, ["f1", "f2"]]);
  assert.equal(seen.tasks.length, seen.progress.length + seen.files.length + 1);
});

test("a task that fails is told as its error", async () => {
  const job = name();
  await createJob(job);
  const seen = progress(job);
  await until(() => seen.progress.length === 1);
  await step(job, { status: "failed", error: { message: "no paper", code: "E1" } });
  await until(() => seen.failed.length === 1);
  assert.equal(seen.failed[0].error, "no paper");
  assert.equal(seen.tasks.at(-1).status, "failed");
  assert.equal(seen.stream.readyState(), 2);
});

test("a task that is not there is told in the same way", async () => {
  const seen = progress("nobody-knows-it");
  await until(() => seen.failed.length === 1);
  assert.deepEqual(seen.failed[0].details, { code: "not_found", status: 404 });
  assert.equal(seen.stream.readyState(), 2);
});

test("a handler that throws does not keep a task from its end", async () => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  const job = name();
  await createJob(job);
  const seen = progress(job, {
    onProgress: () => {
      throw new Error("mine");
    },
  });
  await until(() => seen.tasks.length === 1);
  await step(job, { status: "completed" });
  await until(() => seen.completed.length === 1);
  delete globalThis.reportError;
  assert.deepEqual([...new Set(reported)], ["mine"]);
});

test("a progress stream that is closed tells nothing more", async () => {
  const job = name();
  await createJob(job);
  const controller = new AbortController();
  const seen = progress(job, { signal: controller.signal });
  await until(() => seen.progress.length === 1);
  controller.abort();
  assert.equal(seen.stream.readyState(), 2);
  seen.stream.close();
  await step(job, { status: "completed" });
  assert.deepEqual(seen.completed, []);
});
