// Answers: what their events add up to, followed by job and by chat.

import assert from "node:assert/strict";
import { test } from "node:test";

import { answerUrl, applyJobEvent, followAnswer } from "../../gateway/web/client/sse-client.js";
import { WORLD, control, createAnswer, name, step, token, until } from "./support.mjs";

const options = (more = {}) => ({ baseUrl: WORLD.base, token: token("ann"), minDelayMs: 50, ...more });
const asked = async (job) => (await fetch(`${WORLD.base}/v1/jobs/${job}`, { headers: { Authorization: `Bearer ${token("ann")}` } })).json();

async function active(chat) {
  const job = await createAnswer(chat);
  await step(job, { status: "active" });
  return job;
}

test("the pieces of an answer add up to what the node says it is, by its job and by its chat", async () => {
  const chat = name("c");
  const job = await active(chat);
  const views = [[], []];
  const [byJob, byChat] = [job, { chat }].map((named, at) =>
    followAnswer(named, options({ onAnswer: (answer) => views[at].push(answer) })),
  );
  await until(() => views.every((seen) => seen.at(-1)?.status === "active"));
  for (const change of [{ reasoning: "Hm" }, { reasoning: "m." }, { text: "Hel" }, { part: { type: "data-x", data: 1 } }, { text: "lo 🙂" }]) {
    await step(job, change);
  }
  await step(job, { status: "completed" });
  assert.deepEqual([await byJob.closed, await byChat.closed], [{ reason: "finished" }, { reason: "finished" }]);
  const there = await asked(job);
  assert.equal(there.text, "Hello 🙂");
  for (const seen of views) {
    assert.deepEqual(Object.entries(seen.at(-1)).sort(), Object.entries(there).sort());
    assert.ok(seen.every((view, at) => at === 0 || view.text.startsWith(seen[at - 1].text)));
  }
  const again = [];
  await followAnswer({ chat }, options({ onAnswer: (answer) => again.push(answer) })).closed.then(({ reason }) => assert.equal(reason, "ended"));
  assert.deepEqual(again, []);
});

test("an answer goes on behind the last piece when its node is killed", async () => {
  const job = await active(name("c"));
  let text = "";
  const events = [];
  const connection = followAnswer(job, options({ onAnswer: (answer) => (text = answer.text), onEvent: ({ type, data }) => type === "job.text" && events.push(data.text) }));
  await until(() => connection.state === "open");
  await step(job, { text: "before " });
  await until(() => text === "before ");
  await control("kill", "0");
  await step(job, { text: "meanwhile " });
  await control("target", "1");
  await until(() => text === "before meanwhile ");
  await step(job, { text: "after", status: "completed" });
  await connection.closed;
  assert.deepEqual([text, events], ["before meanwhile after", ["before ", "meanwhile ", "after"]]);
  await control("start", "0");
});

test("a text goes on until another part comes, and nothing is changed in place", () => {
  const said = (answer, type, data) => applyJobEvent(answer, { type, data: { job_id: "j", ...data } });
  const first = Object.freeze(said(null, "job.text", { text: "a", offset: 0 }));
  const second = said(said(first, "job.text", { text: "b", offset: 1 }), "job.part", { part: { type: "data-x", data: 1 }, index: 1 });
  assert.deepEqual([first.text, second.text, second.parts], ["a", "ab", [{ type: "text", text: "ab" }, { type: "data-x", data: 1 }]]);
  const third = said(second, "job.text", { text: "c", offset: 2 });
  assert.deepEqual([third.text, third.parts.length, second.parts.length], ["abc", 3, 2]);
});

test("an answer is named by its job or its chat", () => {
  assert.deepEqual([answerUrl("a/b"), answerUrl({ chat: "c d" })], ["/v1/jobs/a%2Fb/events", "/v1/chats/c%20d/events"]);
});
