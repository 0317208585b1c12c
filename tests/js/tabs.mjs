// Tabs of one browser: worker threads, and the Web Locks that they share.

import { Worker } from "node:worker_threads";

import { until } from "./support.mjs";

export class Browser {
  tabs = [];
  said = [];
  channels = new Set();
  #locks = new Map();

  async tab() {
    const tab = new Tab(this);
    this.tabs.push(tab);
    await until(() => tab.ready, "a tab");
    return tab;
  }

  async close() {
    await Promise.all(this.tabs.map((tab) => tab.crash()));
  }

  /** The tabs that hold a lock. */
  get leaders() {
    return [...this.#locks.values()].filter((queue) => queue.length > 0).map((queue) => queue[0].tab);
  }

  hear(tab, { lock, id, name, steal }) {
    const queue = this.#locks.get(name) ?? [];
    this.#locks.set(name, queue);
    const first = queue[0];
    if (lock === "request") {
      if (steal && first) {
        first.tab.send("stolen", { id: first.id });
        queue.shift();
      }
      queue[steal ? "unshift" : "push"]({ tab, id, name });
    } else {
      const at = queue.findIndex((each) => each.tab === tab && each.id === id);
      if (at >= 0) queue.splice(at, 1);
    }
    this.#grant(queue, first);
  }

  gone(tab) {
    for (const [name, queue] of this.#locks) {
      const first = queue[0];
      const left = queue.filter((each) => each.tab !== tab);
      this.#locks.set(name, left);
      this.#grant(left, first);
    }
  }

  #grant(queue, before) {
    if (queue.length > 0 && queue[0] !== before) queue[0].tab.send("granted", { id: queue[0].id, name: queue[0].name });
  }
}

class Tab {
  ready = false;
  log = [];
  #worker;
  #browser;

  constructor(browser) {
    this.#browser = browser;
    this.#worker = new Worker(new URL("./tab.mjs", import.meta.url));
    this.#worker.on("message", (message) => this.#hear(message));
    this.#worker.on("error", (error) => this.log.push({ crashed: error }));
  }

  #hear(message) {
    if (message.ready !== undefined) this.ready = true;
    else if (message.lock !== undefined) this.#browser.hear(this, message);
    else if (message.said !== undefined) this.#browser.said.push(message.said);
    else if (message.channel !== undefined) this.#browser.channels.add(message.channel);
    else this.log.push(message);
  }

  send(command, argument = {}) {
    this.#worker.postMessage({ command, ...argument });
  }

  connect(target, options, key = "main") {
    this.send("connect", { key, target, options });
  }

  /** End it without a word. */
  async crash() {
    await this.#worker.terminate();
    this.#browser.gone(this);
  }

  of(what, key = "main") {
    return this.log.filter((entry) => entry.key === key && what in entry).map((entry) => entry[what]);
  }

  data(type, key = "main") {
    return this.of("event", key).filter((event) => event.type === type).map((event) => event.data);
  }

  async look(key = "main") {
    const before = this.of("look", key).length;
    this.send("look", { key });
    await until(() => this.of("look", key).length > before, "a look");
    return this.of("look", key).at(-1);
  }

  /** Wait until it is served by the shared connection. */
  async attached(key = "main") {
    await until(async () => (await this.look(key)).shared, () => `attached: ${JSON.stringify(this.log)}`);
  }
}
