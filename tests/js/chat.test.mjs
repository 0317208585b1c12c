// `useChat` of the AI SDK, unchanged, against real nodes: what it shows is what was written, once, whatever happens.

import "./react-dom.mjs";

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, test } from "node:test";

import { WORLD, control, createAnswer, name, step, token, until } from "./support.mjs";

const { createElement, StrictMode } = await import("react");
const { flushSync } = await import("react-dom");
const { createRoot } = await import("react-dom/client");
const { useChat } = await import("@ai-sdk/react");
const { DefaultChatTransport, uiMessageChunkSchema } = await import("ai");
const { SSEParser } = await import("../../gateway/web/client/sse-client.js");

const auth = (sub = "ann") => ({ Authorization: `Bearer ${token(sub)}` });
const QUESTION = { id: "q1", role: "user", parts: [{ type: "text", text: "Why?" }] };

const roots = [];
/** A tab with a chat: `view` is what `useChat` gives; `close()` leaves the page. */
function open(id, { base = WORLD.base, headers = auth(), api = `${base}/api/chat`, messages = [QUESTION], resume = true, strict = false } = {}) {
  const tab = { view: null, errors: [] };
  const transport = new DefaultChatTransport({ api, headers });
  function Chat() {
    tab.view = useChat({ id, messages, resume, transport, onError: (error) => tab.errors.push(error) });
    return null;
  }
  const root = createRoot(document.getElementById("root").appendChild(document.createElement("div")));
  roots.push(root);
  const chat = createElement(Chat);
  flushSync(() => root.render(strict ? createElement(StrictMode, null, chat) : chat));
  tab.close = () => flushSync(() => root.unmount());
  tab.answer = () => tab.view.messages.filter(({ role }) => role === "assistant");
  tab.text = () => tab.answer().flatMap(({ parts }) => parts.filter(({ type }) => type === "text").map(({ text }) => text)).join("|");
  return tab;
}
afterEach(() => flushSync(() => roots.splice(0).forEach((root) => root.unmount())));

async function active(chat, ...texts) {
  const job = await createAnswer(chat);
  await step(job, { status: "active" });
  for (const text of texts) await step(job, { text });
  return job;
}

/** Everything of a stream: the data of its events, each but the last checked against the SDK's own schema. */
async function chunks(url, { headers = auth(), ...more } = {}) {
  const response = await fetch(url, { headers, ...more });
  assert.equal(response.status, 200, await (response.status === 200 ? "" : response.text()));
  assert.equal(response.headers.get("x-vercel-ai-ui-message-stream"), "v1");
  const parser = new SSEParser();
  const found = [];
  for await (const bytes of response.body) found.push(...parser.feed(bytes));
  const data = found.map((event) => {
    assert.equal(event.type, "message");
    return event.data;
  });
  assert.equal(data.pop(), "[DONE]");
  const schema = uiMessageChunkSchema();
  return Promise.all(
    data.map(async (text) => {
      const checked = await schema.validate(JSON.parse(text));
      assert.ok(checked.success, text);
      return JSON.parse(text);
    }),
  );
}

test("an answer goes on where it was when the page is loaded again in the middle of it", async () => {
  const chat = name("c");
  const job = await active(chat, "Once upon ");
  const first = open(chat);
  await until(() => first.text() === "Once upon ");
  await step(job, { text: "a time, " });
  await until(() => first.text() === "Once upon a time, ");
  first.close();
  await step(job, { text: "said nobody, " });
  const second = open(chat);
  await until(() => second.text() === "Once upon a time, said nobody, ");
  assert.equal(second.view.status, "streaming");
  await step(job, { text: "the end 🙂." });
  await step(job, { status: "completed" });
  await until(() => second.view.status === "ready");
  const [message, ...others] = second.answer();
  assert.deepEqual([others, message.id, second.errors], [[], job, []]);
  assert.deepEqual(message.parts, [{ type: "text", text: "Once upon a time, said nobody, the end 🙂.", state: "done", providerMetadata: undefined }]);
  const third = open(chat, { messages: second.view.messages });
  await until(() => third.view.status === "ready");
  assert.deepEqual(third.view.messages, second.view.messages);
});

test("React's StrictMode mounts twice and shows it once", async () => {
  const chat = name("c");
  const job = await active(chat, "twice? ");
  const tab = open(chat, { strict: true });
  await until(() => tab.text() === "twice? ");
  await step(job, { text: "No.", status: "completed" });
  await until(() => tab.view.status === "ready" && tab.text() === "twice? No.");
  assert.deepEqual([tab.answer().length, tab.errors], [1, []]);
});

test("two tabs, of which one came late and at another node, read the same", async () => {
  const chat = name("c");
  const job = await active(chat, "a ");
  const early = open(chat);
  await until(() => early.text() === "a ");
  await step(job, { text: "b " });
  const late = open(chat, { base: WORLD.nodes[1] });
  for (const text of ["c ", "d ", "e "]) await step(job, { text });
  await step(job, { status: "completed" });
  await until(() => early.view.status === "ready" && late.view.status === "ready");
  assert.deepEqual([early.text(), late.text()], ["a b c d e ", "a b c d e "]);
  assert.deepEqual(early.view.messages, late.view.messages);
});

test("a killed node breaks the stream off, and the other node has all of it", async () => {
  const chat = name("c");
  const job = await active(chat, "before ");
  const tab = open(chat);
  await until(() => tab.text() === "before ");
  await control("kill", "0");
  await control("target", "1");
  await until(() => tab.view.status === "error");
  await step(job, { text: "meanwhile " });
  const resumed = tab.view.resumeStream();
  await until(() => tab.text() === "before meanwhile ");
  await step(job, { text: "after", status: "completed" });
  await resumed;
  await until(() => tab.view.status === "ready");
  assert.deepEqual([tab.text(), tab.answer().length], ["before meanwhile after", 1]);
  await control("start", "0");
});

test("stop ends the answer in every tab and keeps what was written", async () => {
  const chat = name("c");
  const job = await active(chat, "never ending");
  const [one, two] = [open(chat), open(chat)];
  await until(() => one.text() === "never ending" && two.text() === "never ending");
  const stop = (body) =>
    fetch(`${WORLD.base}/api/chat/${chat}/stop`, { method: "POST", headers: { ...auth(), "Content-Type": "application/json" }, body });
  assert.equal((await stop(JSON.stringify({ activeStreamId: "another-one" }))).status, 200);
  assert.equal((await (await fetch(`${WORLD.base}/v1/jobs/${job}`, { headers: auth() })).json()).status, "active");
  assert.equal((await stop(JSON.stringify({ activeStreamId: job }))).status, 200);
  await until(() => one.view.status === "ready" && two.view.status === "ready");
  assert.deepEqual([one.text(), two.text(), one.errors], ["never ending", "never ending", []]);
  assert.equal((await stop()).status, 200); // nothing is left to stop
  await assert.rejects(step(job, { text: "too late" }), /409/);
});

test("a failure shows what was written and why it ended", async () => {
  const chat = name("c");
  const job = await active(chat, "half a ");
  const tab = open(chat);
  await until(() => tab.text() === "half a ");
  await step(job, { status: "failed", error: { message: "The model is out of words." } });
  await until(() => tab.view.status === "error");
  assert.deepEqual([tab.text(), tab.errors.map(({ message }) => message)], ["half a ", ["The model is out of words."]]);
});

const TOOL = { toolCallId: "t1", toolName: "weather" };
const WRITTEN = [
  { part: { type: "start-step" } },
  { reasoning: "Let me " },
  { reasoning: "look." },
  { part: { type: "tool-input-start", ...TOOL } },
  { part: { type: "tool-input-delta", toolCallId: "t1", inputTextDelta: '{"city":' } },
  { part: { type: "tool-input-delta", toolCallId: "t1", inputTextDelta: '"Oslo"}' } },
  { part: { type: "tool-input-available", ...TOOL, input: { city: "Oslo" } } },
  { part: { type: "tool-output-available", toolCallId: "t1", output: { degrees: 3 } } },
  { part: { type: "tool-input-available", toolCallId: "t2", toolName: "clock", input: {}, dynamic: true } },
  { part: { type: "tool-output-error", toolCallId: "t2", errorText: "No clock.", dynamic: true } },
  { part: { type: "finish-step" } },
  { part: { type: "start-step" } },
  { text: "It is " },
  { text: "cold " },
  { part: { type: "source-url", sourceId: "s1", url: "https://example.org/", title: "Example" } },
  { part: { type: "source-document", sourceId: "s2", mediaType: "text/plain", title: "A page" } },
  { part: { type: "file", mediaType: "image/png", url: "data:image/png;base64,AAAA" } },
  { part: { type: "data-weather", id: "w1", data: { degrees: 3 } } },
  { part: { type: "data-note", data: "passing", transient: true } },
  { part: { type: "message-metadata", messageMetadata: { model: "none" } } },
  { text: "there." },
  { part: { type: "finish-step" } },
];

test("every kind of part arrives live and replayed alike, each chunk of the SDK's schema", async () => {
  const chat = name("c");
  const job = await active(chat);
  const live = open(chat);
  const raw = chunks(`${WORLD.base}/api/chat/${chat}/stream`);
  for (const [at, change] of WRITTEN.entries()) {
    await step(job, change);
    if (at === 9) open(chat); // and one that comes in the middle
  }
  const late = open(chat);
  await until(() => late.answer()[0]?.parts.some(({ text }) => text === "there."));
  await step(job, { status: "completed" });
  await until(() => live.view.status === "ready" && late.view.status === "ready");
  assert.deepEqual([live.errors, late.errors], [[], []]);
  assert.deepEqual(late.view.messages, live.view.messages);
  const [{ parts, metadata }] = live.answer();
  assert.deepEqual(metadata, { model: "none" });
  assert.deepEqual(
    parts.map(({ type, text, state }) => [type, text ?? state ?? null]),
    [
      ["step-start", null],
      ["reasoning", "Let me look."],
      ["tool-weather", "output-available"],
      ["dynamic-tool", "output-error"],
      ["step-start", null],
      ["text", "It is cold "],
      ["source-url", null],
      ["source-document", null],
      ["file", null],
      ["data-weather", null],
      ["text", "there."],
    ],
  );
  const told = await raw;
  const replayed = await chunks(`${WORLD.nodes[1]}/api/chat/${chat}/stream?answer=${job}`);
  assert.deepEqual([told[0], told.at(-1)], [{ type: "start", messageId: job }, { type: "finish" }]);
  const ids = (all) => [...new Set(all.filter(({ type }) => /^(text|reasoning)-/.test(type)).map(({ id }) => id))];
  assert.deepEqual([ids(told), ids(replayed)], [["1", "11", "18"], ["1", "11", "18"]]);
  const own = (all) => all.filter(({ type }) => !/^(text|reasoning)-/.test(type));
  assert.deepEqual(own(told), own(replayed));
});

/** A back end of one's own, on another origin than the nodes: it registers an answer and leads on to its stream. */
const backEnd = createServer(async (request, response) => {
  let body = "";
  for await (const bytes of request) body += bytes;
  const { id } = JSON.parse(body);
  const job = await createAnswer(id);
  const asked = await fetch(`${WORLD.base}/v1/tickets`, {
    method: "POST",
    headers: { ...auth(), "Content-Type": "application/json" },
    body: JSON.stringify({ channels: [`job:${job}`] }),
  });
  const { ticket } = await asked.json();
  response.writeHead(303, { Location: `${WORLD.base}/api/chat/${id}/stream?answer=${job}&ticket=${ticket}` }).end();
  await step(job, { status: "active" });
  for (const text of ["You ", "asked: ", "why?"]) await step(job, { text });
  await step(job, { status: "completed" });
});
await new Promise((done) => backEnd.listen(0, "127.0.0.1", done));
after(() => backEnd.close());

test("a question is answered through the redirect of a back end on another origin", async () => {
  const chat = name("c");
  const tab = open(chat, { base: `http://127.0.0.1:${backEnd.address().port}`, messages: [], resume: false });
  await tab.view.sendMessage({ text: "Why?" });
  await until(() => tab.view.status === "ready" && tab.text() === "You asked: why?");
  assert.deepEqual([tab.errors, tab.answer().length], [[], 1]);
});

test("a chat without an answer, and one of somebody else, is nothing to resume and no error", async () => {
  const chat = name("c");
  await active(chat, "secret");
  for (const [id, headers] of [[name("c"), auth()], [chat, auth("bob")]]) {
    const answer = await fetch(`${WORLD.base}/api/chat/${id}/stream`, { headers });
    assert.deepEqual([answer.status, await answer.text()], [204, ""]);
    const tab = open(id, { headers });
    await until(() => tab.view.status === "ready");
    assert.deepEqual([tab.view.messages, tab.errors], [[QUESTION], []]);
  }
});

test("a question asked while an answer is written ends that one, and the new one is what a reload finds", async () => {
  const chat = name("c");
  const old = await active(chat, "old ");
  const tab = open(chat);
  await until(() => tab.text() === "old ");
  const job = await active(chat, "new ");
  await until(() => tab.view.status === "ready");
  const again = open(chat);
  await until(() => again.text() === "new ");
  assert.notEqual(old, job);
  await step(job, { status: "completed" });
  await until(() => again.view.status === "ready");
});
