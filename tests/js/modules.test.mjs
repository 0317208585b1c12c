// The modules of the client that only decide, each by itself.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Backoff } from "../../gateway/web/client/src/backoff.js";
import { ending, trouble } from "../../gateway/web/client/src/endings.js";
import { EventQueue } from "../../gateway/web/client/src/queue.js";
import { Needs } from "../../gateway/web/client/src/sharing/needs.js";
import { lowest } from "../../gateway/web/client/src/sharing/positions.js";
import { Standing } from "../../gateway/web/client/src/sharing/standing.js";
import { slept } from "../../gateway/web/client/src/waiting.js";
import { upTo } from "./support.mjs";

const at = (seq, epoch = "e1", tag = "a") => (seq === 0 ? `${tag}.0` : `${tag}.${epoch}.${seq}.m`);

test("delays double up to a limit, begin anew after success, and are never less than the server asks for", () => {
  const backoff = new Backoff({ minDelayMs: 100, maxDelayMs: 800 });
  const error = { code: "network" };
  for (const limit of [100, 200, 400, 800, 800]) assert.ok(backoff.next(error) <= limit);
  assert.equal(backoff.next({ ...error, retryAfterMs: 5000 }), 5000);
  assert.equal(backoff.next({ ...error, retryAfterMs: 10 ** 9 }), 600_000);
  backoff.reset();
  assert.ok(backoff.next(error) <= 100);
  backoff.retryMs = 3000;
  assert.equal(backoff.next(error), 3000);
});

test("the end of a stream means what the server's last words say", () => {
  const meaning = (...all) => {
    const { code, reason, final } = ending(...all);
    return [code, reason, final];
  };
  assert.deepEqual(meaning(null, true), ["closed_by_server", "end", false]);
  assert.deepEqual(meaning({ reason: "drain" }, true), ["closed_by_server", "drain", false]);
  assert.deepEqual(meaning({ reason: "user_limit" }, false), ["refused", "user_limit", false]);
  assert.deepEqual(meaning({ reason: "token_expired", reconnect: false }, true), ["token_expired", undefined, true]);
  assert.deepEqual(meaning({ reason: "disconnected", reconnect: false }, true), ["disconnected", undefined, true]);
  assert.equal(ending({ reason: "finished", reconnect: false }, true), null);
});

test("what fails without a name is the network, and an attempt that is cut for silence says so", () => {
  const cause = new TypeError("fetch failed");
  assert.deepEqual([trouble(null, cause).code, trouble(null, cause).cause], ["network", cause]);
  assert.equal(trouble("silence", cause).code, "silence");
});

test("a pause that is cut short says so, and one that was cut before it began is none", async () => {
  const cut = new AbortController();
  const long = slept(60_000, cut.signal);
  cut.abort();
  assert.equal(await long, false);
  assert.equal(await slept(60_000, cut.signal), false);
  assert.equal(await slept(0, new AbortController().signal), true);
});

test("who takes events late gets them in order, and the end after the last", async () => {
  const queue = new EventQueue(null, () => {});
  for (const n of upTo(256)) queue.push(n);
  assert.ok(queue.full);
  queue.end({ reason: "finished" });
  const got = [];
  for await (const n of queue) got.push(n);
  assert.deepEqual(got, upTo(256));
});

/** A member at these positions of the channels `a` and `b`. */
function standing(a, b) {
  const found = new Standing();
  const id = `${a},${b}`;
  found.opened(["a", "b"], id);
  found.move(id);
  return found;
}

for (const [what, tops, carried, whole, behind] of [
  ["stands where the leader stands", { a: at(3), b: at(0, "", "b") }, true, true, false],
  ["is ahead", { a: at(2), b: at(0, "", "b") }, true, true, false],
  ["lacks an event", { a: at(4), b: at(0, "", "b") }, true, false, true],
  ["has another history", { a: at(3, "e2"), b: at(0, "", "b") }, true, false, true],
  ["meets a leader that stands nowhere yet", { a: "a.e1.3.m~", b: at(0, "", "b") }, true, false, false],
  ["has a channel that is not carried", { a: at(3) }, false, false, false],
]) {
  test(`a member that ${what} knows it`, () => {
    const here = standing(at(3), at(0, "", "b"));
    const there = new Map(Object.entries(tops));
    assert.deepEqual([here.isCarried(there), here.isWhole(there), here.isBehind(there)], [carried, whole, behind]);
    assert.deepEqual([here.told, here.cursor], [true, "a.e1.3.m,b.0"]);
  });
}

for (const [channel, event, place] of [
  ["a", { seq: 3, epoch: "e1" }, "old"],
  ["a", { seq: 4, epoch: "e1" }, "next"],
  ["a", { seq: 5, epoch: "e1" }, "hole"],
  ["a", { seq: 4, epoch: "e2" }, "hole"],
  ["b", { seq: 1, epoch: "e9" }, "next"],
  ["b", { seq: 2, epoch: "e9" }, "hole"],
  ["a", {}, "next"],
]) {
  test(`event ${JSON.stringify(event)} of ${channel} is ${place}`, () => {
    assert.equal(standing(at(3), at(0, "", "b")).place(channel, event), place);
  });
}

test("of two positions the earlier is kept, of two histories the first", () => {
  const parts = new Map();
  for (const part of [at(5), at(3), at(4), at(1, "e2")]) lowest(parts, "a", part);
  assert.deepEqual([...parts], [["a", at(3)]]);
});

test("a leader carries what the tabs need, from where it stands, else from where it is needed first", () => {
  const needs = new Needs("mine");
  needs.set("mine", [["a", at(5)], ["b", at(2)]]);
  needs.set("other", [["a", at(3)], ["c", at(9)]]);
  assert.deepEqual([...needs.wanted(new Map([["b", at(7)]]))], [["a", at(3)], ["b", at(7)], ["c", at(9)]]);
  needs.refuse(["c"]);
  needs.finish(["b"]);
  assert.deepEqual([...needs.wanted(new Map())], [["a", at(3)]]);
  needs.drop("other");
  assert.deepEqual([...needs.wanted(new Map())], [["a", at(5)]]);
  needs.set("other", upTo(40).map((n) => [`x${n}`, at(1)]));
  assert.equal(needs.wanted(new Map()).size, 32);
});
