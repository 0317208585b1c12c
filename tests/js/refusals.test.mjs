// What the client makes of answers that are no stream, and of streams that are refusals.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, test } from "node:test";

import { StreamError, connect } from "../../gateway/web/client/sse-client.js";
import { WORLD, createJob, name, recorder, step, token, until } from "./support.mjs";

const open = [];
function follow(target, more = {}) {
  const seen = recorder({ token: token("ann"), baseUrl: WORLD.base, ...more });
  seen.connection = connect(target, seen.options);
  open.push(seen.connection);
  return seen;
}
afterEach(() => open.splice(0).forEach((connection) => connection.close()));

// A server that answers each request with the next of `answers`, and the last one for ever. What a client of the test
// before had on its way when it was closed may still arrive: it has another path, and is none of this test's.
let answers = [];
let turn = 0;
const requests = [];
const server = createServer((request, response) => {
  if (request.url.split("?")[0] !== `/stream/${turn}`) return response.destroy();
  requests.push({ at: Date.now(), headers: request.headers });
  const answer = answers.length > 1 ? answers.shift() : answers[0];
  answer(response, request);
}).listen(0, "127.0.0.1");
await until(() => server.listening);
const OTHER = `http://127.0.0.1:${server.address().port}/stream`;
after(() => {
  server.closeAllConnections();
  server.close();
});
const status = (code, headers = {}) => (response) => response.writeHead(code, headers).end("no");
const stream = (text, end = true) => (response) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write(text);
  if (end) response.end();
};
function other(more, ...given) {
  answers = given;
  requests.length = 0;
  turn += 1;
  return follow(`${OTHER}/${turn}`, { token: undefined, ...more });
}

for (const [what, target, code, number] of [
  ["a job that is not there", () => "/v1/jobs/nobody-knows-it/events", "not_found", 404],
  ["a channel that is not the caller's", () => ["client:bob"], "forbidden", 403],
  ["a channel that cannot be", () => ["nonsense"], "bad_request", 400],
]) {
  test(`${what} is an end with the server's own words`, async () => {
    const seen = follow(target());
    const { reason, error } = await seen.connection.closed;
    assert.ok(error instanceof StreamError);
    assert.deepEqual([reason, error.code, error.status, error.final], [code, code, number, true]);
    assert.match(error.message, new RegExp(`${number}: \\S+`));
    assert.deepEqual(seen.errors, [error]);
    assert.deepEqual(seen.closed, [{ reason: code, error }]);
  });
}

test("a temporary refusal is waited out for as long as the node says, without an end", async () => {
  const first = follow(["client:cyd"], { token: token("cyd"), baseUrl: WORLD.crowded });
  await until(() => first.connection.state === "open");
  const second = follow(["client:cyd"], { token: token("cyd"), baseUrl: WORLD.crowded });
  const waiting = await until(() => second.states.find(({ state }) => state === "waiting"));
  assert.equal(waiting.reason, "user_limit");
  assert.ok(waiting.retryInMs >= 5000 && waiting.retryInMs <= 30_000, String(waiting.retryInMs));
  assert.deepEqual(second.opens, []);
  assert.deepEqual(second.errors.map(({ code, final }) => [code, final]), [["refused", false]]);
});

for (const [what, header, least] of [
  ["seconds", () => "1", 1000],
  ["a date", () => new Date(Date.now() + 2000).toUTCString(), 900],
]) {
  test(`Retry-After in ${what} is honoured`, async () => {
    const seen = other({}, (response) => status(503, { "Retry-After": header() })(response), stream("data: 1\n\n", false));
    await until(() => seen.events.length === 1);
    assert.ok(requests[1].at - requests[0].at >= least);
    assert.deepEqual(seen.errors.map(({ code, status: number }) => [code, number]), [["http_error", 503]]);
  });
}

test("overload and gateways' errors are waited out", async () => {
  const seen = other({}, status(429), status(502), status(500), status(408), stream("data: 1\n\n", false));
  await until(() => seen.events.length === 1);
  assert.equal(requests.length, 5);
});

test("204 is an end without an error", async () => {
  const seen = other({}, status(204));
  assert.deepEqual(await seen.connection.closed, { reason: "ended" });
  assert.deepEqual(seen.errors, []);
});

test("what is no event stream is an end", async () => {
  const seen = other({}, (response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<p>"));
  assert.equal((await seen.connection.closed).reason, "bad_content_type");
});

test("reconnect false is an end, with or without an error by its reason", async () => {
  const words = (reason) => stream(`event: stream.close\ndata: {"reason":"${reason}","reconnect":false}\n\n`);
  assert.equal((await other({}, words("finished")).connection.closed).error, undefined);
  const { reason, error } = await other({}, words("disconnected")).connection.closed;
  assert.deepEqual([reason, error.final], ["disconnected", true]);
  assert.equal(requests.length, 1);
});

test("a clean end is followed by another connection after the stream's own retry, with its cursor", async () => {
  const seen = other({}, stream("retry: 700\nid: 7\ndata: 1\n\n"), stream("data: 2\n\n", false));
  await until(() => seen.events.length === 2);
  assert.ok(requests[1].at - requests[0].at >= 700);
  assert.equal(requests[1].headers["last-event-id"], "7");
  assert.equal(seen.events[1].id, "7");
  assert.deepEqual(seen.errors, []);
});

test("an absurd retry does not silence the client for ever", async () => {
  const seen = other({}, stream("retry: 99999999999999\n\n"));
  const { retryInMs } = await until(() => seen.states.find(({ state }) => state === "waiting"));
  assert.ok(retryInMs <= 600_000);
});

test("the backoff grows with full jitter up to its limit", async () => {
  const seen = other({ minDelayMs: 8, maxDelayMs: 40 }, status(502));
  await until(() => seen.states.filter(({ state }) => state === "waiting").length > 40);
  const waits = seen.states.filter(({ state }) => state === "waiting").map(({ retryInMs }) => retryInMs);
  assert.ok(waits.every((wait) => wait <= 40), String(waits));
  assert.ok(Math.max(...waits) > 20 && Math.min(...waits.slice(5)) < 20, String(waits));
});

test("an event that is too large is an end, since it would come again", async () => {
  const seen = other({ maxEventSize: 100 }, stream(`data: ${"x".repeat(200)}`));
  assert.equal((await seen.connection.closed).reason, "too_large");
  assert.equal(requests.length, 1);
});

test("data that is not JSON is text, and an event without a type is a message", async () => {
  const seen = other({}, stream("event: a\ndata: {oops\n\ndata: 1\n\n", false));
  await until(() => seen.events.length === 2);
  assert.deepEqual(seen.events.map(({ type, data, raw }) => [type, data, raw]), [["a", "{oops", "{oops"], ["message", 1, "1"]]);
});

test("an event keeps the trace context that it was published with", async () => {
  const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const one = (more) => `data: ${JSON.stringify({ channel: "broadcast", seq: 1, epoch: "e", type: "a", time: 1, data: 1, ...more })}\n\n`;
  const seen = other({ native: true }, stream(one({ traceparent: trace }) + one({}), false));
  await until(() => seen.events.length === 2);
  assert.equal(seen.events[0].traceparent, trace);
  assert.equal("traceparent" in seen.events[1], false);
});

test("an answer that never begins is given up", async () => {
  const seen = other({ connectTimeoutMs: 2000 }, () => {}, stream("data: 1\n\n", false));
  await until(() => seen.events.length === 1);
  assert.deepEqual(seen.errors.map(({ code }) => code), ["timeout"]);
});

test("a handler that throws harms neither the stream nor the other handlers, and is reported", async () => {
  const errors = [];
  const got = [];
  const seen = other(
    {
      onEvent: () => {
        throw new Error("mine");
      },
      onError: (error) => errors.push(error),
      events: { a: (event) => got.push(event.data) },
    },
    stream("event: a\ndata: 1\n\nevent: a\ndata: 2\n\n", false),
  );
  await until(() => got.length === 2);
  assert.deepEqual(errors.map(({ code, cause, final }) => [code, cause.message, final]), [["handler", "mine", false], ["handler", "mine", false]]);
  assert.equal(seen.connection.state, "open");
});

test("what throws where nobody listens for errors is reported to the page", async () => {
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  const onEvent = () => {
    throw new Error("mine");
  };
  const seen = other({ onEvent, onError: undefined }, stream("data: 1\n\n", false));
  await until(() => reported.length === 1);
  delete globalThis.reportError;
  assert.deepEqual(reported, ["mine"]);
  assert.equal(seen.connection.state, "open");
});

test("nothing is told after close, not even the rest of what has arrived", async () => {
  const got = [];
  const seen = other({ onEvent: (event) => (got.push(event.data), seen.connection.close()) }, stream("data: 1\n\ndata: 2\n\n", false));
  assert.deepEqual(await seen.connection.closed, { reason: "closed" });
  seen.connection.close();
  await until(() => server.connections === undefined || true);
  assert.deepEqual(got, [1]);
  assert.deepEqual(seen.closed, [{ reason: "closed" }]);
});

for (const state of ["open", "connecting"]) {
  test(`who closes as soon as it is ${state} is told nothing more, and nothing more is asked for`, async () => {
    let asked = 0;
    const counted = (...all) => (asked += 1) && fetch(...all);
    const onStateChange = (change) => change.state === state && seen.connection.close();
    const answers = [...(state === "open" ? [] : [status(503)]), stream("data: 1\n\n", false)];
    const seen = other({ onStateChange, fetch: counted }, ...answers);
    assert.deepEqual(await seen.connection.closed, { reason: "closed" });
    await new Promise(setImmediate); // whatever was on its way has begun by then
    assert.deepEqual([asked, seen.opens, seen.events, seen.closed.length], [1, [], [], 1]);
  });
}

test("an aborted signal closes, also before the beginning", async () => {
  const controller = new AbortController();
  const seen = other({ signal: controller.signal }, stream("data: 1\n\n", false));
  await until(() => seen.events.length === 1);
  controller.abort();
  assert.deepEqual(await seen.connection.closed, { reason: "closed" });
  const late = other({ signal: AbortSignal.abort() }, stream("data: 1\n\n", false));
  assert.equal(late.connection.readyState(), 2);
  assert.deepEqual(await late.connection.closed, { reason: "closed" });
  assert.equal(requests.length, 0);
});

test("options that make no sense are refused at once", () => {
  assert.throws(() => connect("/v1/events"), /baseUrl/);
  assert.throws(() => connect([], { baseUrl: WORLD.base }), /1 to 32 channels/);
  assert.throws(() => connect(Array.from({ length: 33 }, (_, i) => `topic:${i}`), { baseUrl: WORLD.base }), /1 to 32/);
  assert.throws(() => connect("/elsewhere", { baseUrl: WORLD.base, ticketUrl: true }), /ticketChannels/);
  assert.throws(() => connect("/x", { baseUrl: WORLD.base }).on("a", 7), /function/);
});

test("a base address keeps the path under which a proxy shows the node", async () => {
  const asked = [];
  const seen = follow(["client:ann"], { baseUrl: "http://127.0.0.1:9/sse/", fetch: async (url) => asked.push(url) && Promise.reject(new Error("no")) });
  await until(() => asked.length > 0);
  assert.equal(new URL(asked[0]).pathname, "/sse/v1/events");
  assert.ok(seen);
});

test("a job that has ended while nobody watched is told whole to who comes late", async () => {
  const job = name();
  await createJob(job);
  await step(job, { status: "completed", result: 1 });
  const seen = follow(`/v1/jobs/${job}/events`);
  assert.deepEqual(await seen.connection.closed, { reason: "finished" });
  assert.equal(seen.published("job.state")[0].status, "completed");
});
