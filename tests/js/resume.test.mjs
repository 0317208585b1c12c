// Nothing is lost and nothing repeated, whatever happens to the nodes and the network.

import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";

import { connect } from "../../gateway/web/client/sse-client.js";
import { WORLD, control, createJob, name, publish, recorder, step, token, until, upTo } from "./support.mjs";

const open = [];
function follow(target, more = {}) {
  const seen = recorder({ token: token("ann"), baseUrl: WORLD.base, ...more });
  seen.connection = connect(target, seen.options);
  open.push(seen.connection);
  return seen;
}

afterEach(async () => {
  for (const connection of open.splice(0)) connection.close();
  await control("restore");
  await control("target", "0");
});
after(() => control("restore"));

test("a job is told from its state to its end, and then the connection is closed", async () => {
  const job = name();
  await createJob(job);
  const seen = follow(`/v1/jobs/${job}/events`);
  await until(() => seen.events.some(({ type }) => type === "job.state"));
  await step(job, { progress: 40, message: "Painting" });
  await step(job, { status: "completed", result: { pages: 3 } });
  assert.deepEqual(await seen.connection.closed, { reason: "finished" });
  assert.deepEqual(
    seen.events.map(({ type }) => type),
    ["stream.open", "job.state", "job.started", "job.progress", "job.completed", "stream.close"],
  );
  assert.deepEqual(seen.states.map(({ state }) => state), ["open", "closed"]);
  const progress = seen.events[3];
  assert.equal(progress.channel, `job:${job}`);
  assert.equal(progress.seq, 3);
  assert.equal(progress.data.message, "Painting");
  assert.ok(progress.id && progress.time > 1.6e12 && progress.epoch.length === 8);
  assert.equal(seen.connection.readyState(), 2);
  assert.deepEqual(seen.errors, []);
});

test("who comes back to a job that has ended is told that there is nothing more", async () => {
  const job = name();
  await createJob(job);
  const first = follow(`/v1/jobs/${job}/events`);
  await step(job, { status: "failed", error: { message: "no" } });
  await first.connection.closed;
  const again = follow(`/v1/jobs/${job}/events`, { lastEventId: first.connection.lastEventId });
  assert.deepEqual(await again.connection.closed, { reason: "ended" });
  assert.deepEqual(again.events, []);
});

test("killed nodes, cut connections and a proxy that refuses lose and repeat nothing", async () => {
  const topic = `topic:${name()}`;
  const seen = follow([topic], { token: token("ann", { channels: [topic] }) });
  await until(() => seen.connection.state === "open");
  const sent = 60;
  for (const n of upTo(sent)) {
    await publish(topic, "tick", n);
    if (n === 10) {
      await control("target", "1");
      await control("kill", "0");
    } else if (n === 20) await until(() => seen.opens.length >= 2);
    else if (n === 25) await control("cut");
    else if (n === 34) await until(() => seen.opens.length >= 3);
    else if (n === 35) {
      await control("refuse");
      await control("cut");
    } else if (n === 45) await control("restore");
    else if (n === 50) {
      await control("start", "0");
      await control("target", "0");
      await control("kill", "1");
    }
  }
  await until(() => seen.published("tick").length >= sent);
  assert.deepEqual(seen.published("tick"), upTo(sent));
  assert.ok(seen.opens.slice(1).every(({ resumed, reconnected }) => resumed && reconnected));
  assert.ok(seen.errors.every(({ final, code }) => !final && ["network", "refused"].includes(code)), String(seen.errors));
  await control("start", "1");
});

test("a node that stops says so, and its clients go on at another one", async () => {
  const topic = `topic:${name()}`;
  const seen = follow([topic], { token: token("ann", { channels: [topic] }) });
  await until(() => seen.connection.state === "open");
  await publish(topic, "tick", 1);
  await control("target", "1");
  await control("stop", "0");
  await until(() => seen.opens.length === 2);
  await publish(topic, "tick", 2);
  await until(() => seen.published("tick").length === 2);
  assert.deepEqual(seen.published("stream.close").map(({ reason, reconnect }) => [reason, reconnect]), [["draining", true]]);
  assert.deepEqual(seen.errors, []);
  await control("start", "0");
});

test("a cursor of which the node knows nothing is answered with a reset and the state", async () => {
  const job = name();
  await createJob(job);
  const seen = follow(`/v1/jobs/${job}/events`, { lastEventId: "nonsense" });
  await until(() => seen.events.some(({ type }) => type === "job.state"));
  assert.deepEqual(seen.resets, [{ channel: `job:${job}`, reason: "cursor" }]);
  assert.equal(seen.opens[0].resumed, false);
});

test("a cursor may hold any characters", async () => {
  const job = name();
  await createJob(job);
  const seen = follow(`/v1/jobs/${job}/events`, { lastEventId: "ü😀" });
  await until(() => seen.resets.length === 1);
});

test("several channels come on one connection, each event with its own", async () => {
  const seen = follow(["client:ann", "broadcast"]);
  await until(() => seen.connection.state === "open");
  const word = name();
  await publish("client:ann", "note", word);
  await publish("broadcast", "alert", word);
  await until(() => seen.published("note").includes(word) && seen.published("alert").includes(word));
  assert.deepEqual(
    seen.events.filter(({ data }) => data === word).map(({ type, channel }) => [type, channel]),
    [["note", "client:ann"], ["alert", "broadcast"]],
  );
});

test("an iterator gets everything in order, however slow its reader is, and holds the stream back", async () => {
  const topic = `topic:${name()}`;
  const seen = follow([topic], { token: token("ann", { channels: [topic] }) });
  const iterator = seen.connection[Symbol.asyncIterator]();
  await until(() => seen.connection.state === "open");
  const sent = 400;
  for (const n of upTo(sent)) void (await publish(topic, "tick", n));
  const found = [];
  for await (const event of iterator) {
    if (event.type === "tick") found.push(event.data);
    if (found.length === sent) break;
  }
  assert.deepEqual(found, upTo(sent));
});
