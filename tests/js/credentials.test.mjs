// Tokens and tickets: where they go, when they are renewed, and what a refusal means.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { connect, tokenExpiry, tokenSubject } from "../../gateway/web/client/sse-client.js";
import { WORLD, createJob, name, publish, recorder, token, until, upTo } from "./support.mjs";

const open = [];
function follow(target, more = {}) {
  const seen = recorder({ baseUrl: WORLD.base, ...more });
  seen.requests = [];
  seen.options.fetch = (url, init) => {
    seen.requests.push({ url, init });
    return fetch(url, init);
  };
  seen.connection = connect(target, seen.options);
  open.push(seen.connection);
  return seen;
}
const isOpen = (seen) => until(() => seen.connection.state === "open", () => `open: ${seen.errors}`);

after(() => open.forEach((connection) => connection.close()));

describe("credentials", { concurrency: true }, () => {
  test("a token goes as a header and never into the address", async () => {
    const mine = token("ann");
    const seen = follow(["client:ann"], { token: mine });
    await isOpen(seen);
    assert.equal(seen.requests[0].init.headers.Authorization, `Bearer ${mine}`);
    assert.ok(!seen.requests[0].url.includes("eyJ"));
  });

  test("a ticket goes into the address, and the token that it is bought with does not", async () => {
    const asked = [];
    const getToken = ({ reason }) => asked.push(reason) && token("ann");
    const seen = follow(["client:ann", "broadcast"], { token: getToken, ticketUrl: true });
    await isOpen(seen);
    const [bought, stream] = seen.requests;
    assert.deepEqual([bought.url, bought.init.method], [`${WORLD.base}/v1/tickets`, "POST"]);
    assert.deepEqual(JSON.parse(bought.init.body), { channels: ["client:ann", "broadcast"] });
    assert.ok(new URL(stream.url).searchParams.get("ticket").startsWith("eyJ"));
    assert.equal(stream.init.headers.Authorization, undefined);
    assert.deepEqual(asked, ["start"]);
  });

  test("tickets of your own serve as well", async () => {
    const ticket = async () => {
      const headers = { Authorization: `Bearer ${token("ann")}`, "Content-Type": "application/json" };
      const body = JSON.stringify({ channels: ["client:ann"] });
      return (await fetch(`${WORLD.base}/v1/tickets`, { method: "POST", headers, body })).json();
    };
    const seen = follow(["client:ann"], { ticket });
    await isOpen(seen);
  });

  test("a token is renewed before it expires, and nothing is lost or repeated over it", async () => {
    const asked = [];
    const topic = `topic:${name()}`;
    const channels = [topic];
    const getToken = ({ reason }) => {
      asked.push(reason);
      return token("ann", { channels, ttl: asked.length < 3 ? 4 : 600 });
    };
    const seen = follow([topic], { token: getToken });
    await isOpen(seen);
    let sent = 0;
    await until(async () => {
      sent += 1;
      await publish(topic, "tick", sent);
      return asked.length === 3 && seen.opens.length === 3;
    });
    await until(() => seen.published("tick").length === sent);
    assert.deepEqual(seen.published("tick"), upTo(sent));
    assert.deepEqual(asked, ["start", "expiring", "expiring"]);
    assert.deepEqual(seen.published("stream.close"), [], "the server had no reason to end it");
    assert.deepEqual(seen.errors, []);
  });

  test("a ticket is renewed before it expires, with the token that is there", async () => {
    const asked = [];
    const getToken = ({ reason }) => asked.push(reason) && token("ann", { ttl: asked.length === 1 ? 4 : 600 });
    const seen = follow(["client:ann"], { token: getToken, ticketUrl: "/v1/tickets" });
    await until(() => seen.opens.length === 2);
    assert.deepEqual(asked, ["start", "expiring"]);
    assert.deepEqual(seen.published("stream.close"), []);
  });

  test("a token function that fails before the expiry is asked again while the stream goes on", async () => {
    const asked = [];
    const getToken = ({ reason }) => {
      asked.push(reason);
      if (asked.length === 2) throw new Error("the login service is away");
      return token("ann", { ttl: asked.length === 1 ? 6 : 600 });
    };
    const seen = follow(["client:ann"], { token: getToken });
    await until(() => seen.opens.length === 2);
    assert.deepEqual(asked, ["start", "expiring", "expiring"]);
    assert.deepEqual(seen.errors.map(({ code, final }) => [code, final]), [["credential", false]]);
  });

  test("a token function that fails at first is asked again", async () => {
    let asked = 0;
    const seen = follow(["client:ann"], {
      token: async () => {
        asked += 1;
        if (asked < 3) throw new Error("the login service is away");
        return token("ann");
      },
    });
    await isOpen(seen);
    assert.deepEqual(seen.errors.map(({ code }) => code), ["credential", "credential"]);
  });

  test("a credential that ends sooner than was expected is replaced each time, without loss", async () => {
    const asked = [];
    const [sub, word] = [name(), name()];
    const ticket = async ({ reason }) => {
      asked.push(reason);
      const headers = { Authorization: `Bearer ${token(sub, { ttl: asked.length < 3 ? 2 : 600 })}`, "Content-Type": "application/json" };
      const body = JSON.stringify({ channels: [`client:${sub}`] });
      const bought = await (await fetch(`${WORLD.base}/v1/tickets`, { method: "POST", headers, body })).json();
      return { ...bought, expires_at: bought.expires_at + 3600 }; // as if the clock here were slow
    };
    const seen = follow([`client:${sub}`], { ticket });
    await until(() => seen.opens.length === 3);
    await publish(`client:${sub}`, "note", word);
    await until(() => seen.published("note").includes(word));
    assert.deepEqual(asked, ["start", "refused", "refused"]);
    assert.ok(seen.opens.slice(1).every(({ resumed }) => resumed));
    assert.deepEqual(seen.errors, []);
  });

  test("a refused token is asked for anew once, and then it is an end", async () => {
    const asked = [];
    const seen = follow(["client:ann"], { token: ({ reason }) => asked.push(reason) && "not.a.token" });
    const { reason, error } = await seen.connection.closed;
    assert.deepEqual([reason, error.status, error.final], ["unauthorized", 401, true]);
    assert.deepEqual(asked, ["start", "refused"]);
    assert.equal(seen.requests.length, 2);
    assert.ok(!error.message.includes("not.a.token"));
  });

  test("a refused token that has a good successor is no trouble", async () => {
    const seen = follow(["client:ann"], { token: ({ reason }) => (reason === "refused" ? token("ann") : token("ann", { ttl: -60 })) });
    await isOpen(seen);
    assert.deepEqual(seen.errors, []);
  });

  test("a fixed token ends the connection when it expires, and the error says what to do", async () => {
    const seen = follow(["client:ann"], { token: token("ann", { ttl: 1 }) });
    const { error } = await seen.connection.closed;
    assert.equal(error.code, "token_expired");
    assert.match(error.message, /function as token/);
  });

  test("no token where one is needed is an end, and the error names the option", async () => {
    const seen = follow(["client:ann"]);
    const { error } = await seen.connection.closed;
    assert.equal(error.status, 401);
    assert.match(error.message, /option token/);
  });

  test("a ticket that the node refuses is an end", async () => {
    const seen = follow(["client:bob"], { token: token("ann"), ticketUrl: true });
    const { error } = await seen.connection.closed;
    assert.deepEqual([error.code, error.status], ["forbidden", 403]);
  });

  test("whose a token is and when it expires can be read from it", async () => {
    await createJob(name());
    const mine = token("änn", { exp: 2_000_000_000 });
    assert.deepEqual([tokenExpiry(mine), tokenSubject(mine)], [2e12, "änn"]);
    assert.deepEqual([tokenExpiry("nonsense"), tokenSubject("a.b.c")], [null, null]);
  });
});
