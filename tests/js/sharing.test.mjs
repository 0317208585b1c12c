// One connection for all tabs: every tab gets everything once, whichever tab leads, comes, goes or dies.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Browser } from "./tabs.mjs";
import { WORLD, control, createJob, name, numbers, publish, step, token, until, upTo } from "./support.mjs";

/** A test with a browser of its own. */
const within = (what, body) =>
  test(what, async () => {
    const browser = new Browser();
    try {
      await body(browser);
    } finally {
      await browser.close();
    }
  });

const options = (sub, more = {}) => ({ baseUrl: WORLD.base, token: token(sub), ...more });
/** Requests whose answer has not ended are not seen from here; what a tab asked for is. */
const streams = () => fetch(`${WORLD.nodes[0]}/v1/stats`, { headers: { Authorization: `Bearer ${token("x", { scope: "stats" })}` } })
  .then((response) => response.json())
  .then(({ nodes }) => nodes.reduce((sum, node) => sum + node.connections, 0));

/** Counting begins when the streams of the test before are no longer counted. */
const noStreams = () => until(async () => (await streams()) === 0, "the streams of the test before to be gone");

// These count the node's streams, or cut them.
within("tabs share one connection, and each gets what it asked for", async (browser) => {
  const sub = name("u");
  const tabs = [await browser.tab(), await browser.tab(), await browser.tab()];
  await noStreams();
  const topics = tabs.map(() => `topic:${name()}`);
  const all = { channels: topics };
  tabs.forEach((tab, i) => tab.connect([`client:${sub}`, topics[i]], { baseUrl: WORLD.base, token: token(sub, all) }));
  for (const tab of tabs) await tab.attached();
  await until(async () => (await streams()) === 1, "one stream");
  await publish(`client:${sub}`, "note", "for all");
  for (const [i, topic] of topics.entries()) await publish(topic, "tick", i);
  for (const [i, tab] of tabs.entries()) {
    await until(() => tab.data("note").length === 1 && tab.data("tick").length === 1, () => JSON.stringify(tab.log));
    assert.deepEqual(tab.data("tick"), [i]);
  }
});

within("a shared connection survives its node, and the tabs lose and repeat nothing", async (browser) => {
  const sub = name("u");
  const channel = `client:${sub}`;
  const tabs = [await browser.tab(), await browser.tab()];
  for (const tab of tabs) tab.connect([channel], options(sub));
  for (const tab of tabs) await tab.attached();
  for (const n of upTo(30)) {
    await publish(channel, "tick", n);
    if (n === 10 || n === 20) await control("cut");
  }
  for (const tab of tabs) {
    await until(() => tab.data("tick").length >= 30, () => JSON.stringify(tab.log));
    assert.deepEqual(tab.data("tick"), upTo(30));
    assert.ok(tab.of("state").includes("waiting"));
    assert.deepEqual(tab.of("reset"), []);
  }
});

within("the last tab that needs a channel ends the stream, and the lead goes with it", async (browser) => {
  const sub = name("u");
  await noStreams();
  const tabs = [await browser.tab(), await browser.tab()];
  for (const tab of tabs) tab.connect([`client:${sub}`], options(sub));
  for (const tab of tabs) await tab.attached();
  await until(async () => (await streams()) === 1);
  for (const tab of tabs) tab.send("close", { key: "main" });
  await until(async () => (await streams()) === 0, "no stream");
  await until(() => browser.leaders.length === 0, "no leader");
});

within("tabs that come, go and crash at random, over a network that is cut, all get everything once", async (browser) => {
  const random = numbers(Number(process.env.SEED ?? 7));
  const pick = (list) => list[Math.floor(random() * list.length)];
  const sub = name("u");
  const [client, topic] = [`client:${sub}`, `topic:${name()}`];
  const mine = token(sub, { channels: [topic] });
  const tabs = [];
  let sent = 0;
  const actions = {
    async come() {
      if (tabs.length > 5) return;
      const tab = await browser.tab();
      tab.channels = pick([[client], [topic], [client, topic]]);
      tab.connect(tab.channels, { baseUrl: WORLD.base, token: mine });
      tabs.push(tab);
      void until(() => tab.of("open").length > 0 || !tabs.includes(tab)).then(() => (tab.from = sent));
    },
    crashOfTheLeader: () => leave(browser.leaders[0]),
    crash: () => leave(pick(tabs)),
    async close() {
      const tab = pick(tabs);
      tab?.send("close", { key: "main" });
      if (tab) tabs.splice(tabs.indexOf(tab), 1);
    },
    reconnect: async () => pick(tabs)?.send("reconnect", { key: "main" }),
    away: async () => pick(tabs)?.send("page", { what: "pagehide", more: { persisted: true } }),
    back: async () => tabs.forEach((tab) => tab.send("page", { what: "pageshow", more: { persisted: true } })),
    freeze: async () => pick(tabs)?.send("freeze", { ms: 100 + random() * 300 }),
    cut: () => control("cut"),
  };
  async function leave(tab) {
    if (!tabs.includes(tab)) return;
    tabs.splice(tabs.indexOf(tab), 1);
    await tab.crash();
  }
  for (const round of upTo(60)) {
    if (round < 4 || tabs.length === 0) await actions.come();
    else await pick(Object.values(actions))();
    for (const n of upTo(Math.floor(random() * 4))) {
      sent += Math.sign(n);
      await publish(client, "tick", sent);
      await publish(topic, "tick", sent);
    }
  }
  await actions.back();
  await actions.come();
  for (const tab of tabs) await until(() => tab.from !== undefined, () => JSON.stringify(tab.log.slice(-9)));
  sent += 1;
  for (const channel of [client, topic]) await publish(channel, "tick", sent);
  for (const tab of tabs) {
    for (const channel of tab.channels) {
      const got = () => tab.of("event").filter((event) => event.channel === channel).map(({ data }) => data);
      await until(() => got().includes(sent), () => `${sent} in ${JSON.stringify([tab.log.slice(-20), got()])}`);
      assert.ok(got()[0] <= tab.from + 1, `from ${tab.from} on: ${got()}`);
      assert.deepEqual(got(), upTo(sent).slice(got()[0] - 1));
    }
    assert.deepEqual([...tab.of("reset"), ...tab.of("closed")], []);
    await tab.attached();
  }
});

describe("tabs", { concurrency: 4 }, () => {
  within("tokens never leave their tab", async (browser) => {
    const sub = name("u");
    const tabs = [await browser.tab(), await browser.tab()];
    for (const tab of tabs) tab.connect([`client:${sub}`], options(sub));
    for (const tab of tabs) await tab.attached();
    await publish(`client:${sub}`, "note", 1);
    await until(() => tabs.every((tab) => tab.data("note").length === 1));
    assert.ok(browser.said.some(({ t }) => t === "event"));
    assert.ok(!JSON.stringify(browser.said).includes("eyJ"));
  });

  within("two users in two tabs share nothing", async (browser) => {
    const [ann, bob] = [await browser.tab(), await browser.tab()];
    ann.connect(["client:ann", "broadcast"], options("ann"));
    bob.connect(["client:bob", "broadcast"], options("bob"));
    await ann.attached();
    await bob.attached();
    assert.equal(browser.channels.size, 2);
    const word = name();
    await publish("client:ann", "note", word);
    await publish("broadcast", "alert", word);
    await until(() => [ann, bob].every((tab) => tab.data("alert").includes(word)));
    assert.ok(ann.data("note").includes(word) && !bob.data("note").includes(word));
  });

  within("a tab that leads may crash at any moment: no other tab loses or repeats an event", async (browser) => {
    const sub = name("u");
    const channel = `client:${sub}`;
    const tabs = [await browser.tab(), await browser.tab(), await browser.tab(), await browser.tab()];
    for (const tab of tabs) tab.connect([channel], options(sub));
    for (const tab of tabs) await tab.attached();
    const sent = 120;
    for (const n of upTo(sent)) {
      await publish(channel, "tick", n);
      if (n % 40 === 20) {
        const [leader] = browser.leaders;
        await leader.crash();
        tabs.splice(tabs.indexOf(leader), 1);
      }
    }
    assert.equal(tabs.length, 1);
    await until(() => tabs[0].data("tick").length >= sent, () => JSON.stringify(tabs[0].data("tick")));
    assert.deepEqual(tabs[0].data("tick"), upTo(sent));
    const [first] = tabs;
    await first.attached();
    assert.deepEqual(first.of("reset"), []);
    const seqs = first.of("event").filter(({ seq }) => seq !== undefined).map(({ seq }) => seq);
    assert.deepEqual(seqs, upTo(sent));
  });

  within("tabs that survive a leader all get everything once", async (browser) => {
    const sub = name("u");
    const channel = `client:${sub}`;
    const tabs = [await browser.tab(), await browser.tab(), await browser.tab()];
    for (const tab of tabs) tab.connect([channel], options(sub));
    for (const tab of tabs) await tab.attached();
    for (const n of upTo(30)) {
      await publish(channel, "tick", n);
      if (n === 10) {
        const [leader] = browser.leaders;
        void leader.crash();
        tabs.splice(tabs.indexOf(leader), 1);
      }
    }
    for (const tab of tabs) {
      await until(() => tab.data("tick").length >= 30, () => JSON.stringify(tab.log.slice(-20)));
      assert.deepEqual(tab.data("tick"), upTo(30));
      await tab.attached();
    }
  });

  within("a late tab gets the newest state of a job and then every event once", async (browser) => {
    const sub = name("u");
    const job = name();
    await createJob(job, sub);
    const first = await browser.tab();
    first.connect(`/v1/jobs/${job}/events`, options(sub));
    await first.attached();
    await step(job, { progress: 10 });
    const late = await browser.tab();
    late.connect(`/v1/jobs/${job}/events`, options(sub));
    await late.attached();
    for (const progress of [20, 30]) await step(job, { progress });
    await step(job, { status: "completed", result: { pages: 3 } });
    for (const tab of [first, late]) await until(() => tab.of("closed").length === 1, () => JSON.stringify(tab.log));
    assert.deepEqual(first.data("job.progress").map(({ progress }) => progress), [10, 20, 30]);
    assert.equal(late.data("job.state")[0].progress, 10);
    assert.deepEqual(late.data("job.progress").map(({ progress }) => progress), [20, 30]);
    assert.deepEqual([...first.of("closed"), ...late.of("closed")], ["finished", "finished"]);
    assert.deepEqual([first.data("job.completed").length, late.data("job.completed").length], [1, 1]);
  });

  within("several connections in one tab are members of their own", async (browser) => {
    const sub = name("u");
    const job = name();
    await createJob(job, sub);
    const tab = await browser.tab();
    for (const key of ["a", "b"]) tab.connect(`/v1/jobs/${job}/events`, options(sub), key);
    for (const key of ["a", "b"]) await tab.attached(key);
    await step(job, { progress: 50 });
    for (const key of ["a", "b"]) await until(() => tab.data("job.progress", key).length === 1);
    assert.equal(tab.data("job.state", "a").length + tab.data("job.state", "b").length, 2);
    tab.send("close", { key: "a" });
    await step(job, { status: "completed" });
    await until(() => tab.of("closed", "b").length === 1);
    assert.equal(tab.data("job.completed", "a").length, 0);
  });

  within("what one tab may not read harms no other tab", async (browser) => {
    const sub = name("u");
    const [good, bad] = [await browser.tab(), await browser.tab()];
    good.connect([`client:${sub}`], options(sub));
    bad.connect(["client:somebody-else"], options(sub));
    await good.attached();
    await until(() => bad.of("closed").length === 1);
    assert.deepEqual(bad.of("closed"), ["forbidden"]);
    await publish(`client:${sub}`, "note", 1);
    await until(() => good.data("note").length === 1);
    assert.deepEqual(good.of("error"), []);
  });

  within("a channel that only one tab's token may read is left to that tab", async (browser) => {
    const sub = name("u");
    const topic = `topic:${name()}`;
    const [plain, more] = [await browser.tab(), await browser.tab()];
    plain.connect([`client:${sub}`], options(sub));
    await plain.attached();
    more.connect([`client:${sub}`, topic], { baseUrl: WORLD.base, token: token(sub, { channels: [topic] }) });
    await until(() => more.of("open").length === 1);
    await until(() => plain.of("answered").includes(403), "the leader to be refused");
    await plain.attached();
    for (const n of upTo(5)) {
      await publish(`client:${sub}`, "note", n);
      await publish(topic, "tick", n);
    }
    await until(() => plain.data("note").length === 5 && more.data("note").length === 5 && more.data("tick").length === 5, () => JSON.stringify([plain.log, more.log]));
    assert.deepEqual(more.data("tick"), upTo(5));
    assert.deepEqual(more.data("note"), upTo(5));
    assert.deepEqual(plain.data("note"), upTo(5));
    assert.ok(![...plain.of("error"), ...more.of("error")].some(({ final }) => final));
  });

  within("a tab that was frozen catches up by itself", async (browser) => {
    const sub = name("u");
    const channel = `client:${sub}`;
    const [leader, other] = [await browser.tab(), await browser.tab()];
    for (const tab of [leader, other]) tab.connect([channel], options(sub));
    for (const tab of [leader, other]) await tab.attached();
    other.send("freeze", { ms: 1500 });
    for (const n of upTo(20)) await publish(channel, "tick", n);
    for (const tab of [leader, other]) {
      await until(() => tab.data("tick").length >= 20);
      assert.deepEqual(tab.data("tick"), upTo(20));
    }
  });

  within("a leader that the browser has stopped is replaced, and catches up when it runs again", async (browser) => {
    const sub = name("u");
    const channel = `client:${sub}`;
    const tabs = [await browser.tab(), await browser.tab(), await browser.tab()];
    for (const tab of tabs) tab.connect([channel], options(sub, { silenceMs: 1000 }));
    for (const tab of tabs) await tab.attached();
    const [leader] = browser.leaders;
    leader.send("freeze", { ms: 3000 });
    for (const n of upTo(10)) await publish(channel, "tick", n);
    for (const tab of tabs.filter((each) => each !== leader)) {
      await until(() => tab.data("tick").length >= 10);
    }
    assert.notEqual(browser.leaders[0], leader);
    await until(() => leader.data("tick").length >= 10);
    await publish(channel, "tick", 11);
    for (const tab of tabs) {
      await until(() => tab.data("tick").length >= 11);
      assert.deepEqual(tab.data("tick"), upTo(11));
      await tab.attached();
    }
  });

  within("a tab that is put away leaves the lead, and catches up when it is back", async (browser) => {
    const sub = name("u");
    const channel = `client:${sub}`;
    const tabs = [await browser.tab(), await browser.tab()];
    for (const tab of tabs) tab.connect([channel], options(sub));
    for (const tab of tabs) await tab.attached();
    const [leader] = browser.leaders;
    const [other] = tabs.filter((tab) => tab !== leader);
    await publish(channel, "tick", 1);
    leader.send("page", { what: "pagehide", more: { persisted: true } });
    await until(() => browser.leaders[0] === other);
    await publish(channel, "tick", 2);
    await until(() => other.data("tick").length === 2);
    leader.send("page", { what: "pageshow", more: { persisted: true } });
    await publish(channel, "tick", 3);
    for (const tab of tabs) {
      await until(() => tab.data("tick").length === 3, () => JSON.stringify(tab.log));
      assert.deepEqual(tab.data("tick"), [1, 2, 3]);
      await tab.attached();
    }
  });

  within("a user who changes within a tab ends the connection instead of reading the other one's", async (browser) => {
    const [sub, next] = [name("u"), name("u")];
    const tab = await browser.tab();
    tab.connect([`client:${sub}`], { baseUrl: WORLD.base, tokens: [token(sub, { ttl: 6 }), token(next)] });
    await tab.attached();
    await until(() => tab.of("closed").length === 1, () => JSON.stringify(tab.log));
    assert.deepEqual(tab.of("closed"), ["subject_changed"]);
  });

  within("where it is not known whose a connection is, it is not shared", async (browser) => {
    const tab = await browser.tab();
    const sub = name("u");
    tab.connect([`client:${sub}`], { baseUrl: WORLD.base, headers: { Authorization: `Bearer ${token(sub)}` } });
    await until(() => tab.of("open").length === 1);
    assert.equal((await tab.look()).shared, false);
    assert.equal(browser.channels.size, 0);
  });
});
