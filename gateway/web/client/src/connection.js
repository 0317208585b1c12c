// What users hold: their handlers and iterators on one source of events, a stream of its own or a share of one.

import { Credentials } from "./credentials.js";
import { StreamError, report } from "./errors.js";
import { EventQueue } from "./queue.js";
import { canShare } from "./sharing/eligibility.js";
import { Member } from "./sharing/member.js";
import { Stream } from "./stream.js";
import { target } from "./targets.js";

class Connection {
  #options;
  #source;
  #state = "connecting";
  #handlers = new Map();
  #queues = new Set();
  #ended = null;
  #finish;
  #onAbort = () => this.close();

  constructor(asked, options) {
    this.#options = options;
    this.closed = new Promise((done) => (this.#finish = done));
    for (const [type, handler] of Object.entries(options.events ?? {})) if (handler) this.on(type, handler);
    const spec = target(asked, options);
    const credentials = new Credentials(options, spec);
    const Source = options.shared && canShare(spec, options) ? Member : Stream;
    this.#source = new Source(spec, options, credentials, this.#listener(), options.lastEventId ?? "");
    if (options.signal?.aborted) this.close();
    else options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get state() {
    return this.#state;
  }

  get lastEventId() {
    return this.#source.lastEventId;
  }

  get shared() {
    return this.#source.attached ?? false;
  }

  readyState() {
    return this.#state === "open" ? 1 : this.#state === "closed" ? 2 : 0;
  }

  on(type, handler) {
    if (typeof handler !== "function") throw new TypeError(`The handler of ${type} must be a function.`);
    const entry = { handler };
    if (!this.#handlers.has(type)) this.#handlers.set(type, new Set());
    this.#handlers.get(type).add(entry);
    return () => this.#handlers.get(type)?.delete(entry);
  }

  reconnect() {
    this.#source.reconnect();
  }

  close() {
    if (this.#state === "closed") return;
    this.#source.stop();
    this.#over({ reason: "closed" });
  }

  [Symbol.asyncIterator]() {
    const queue = new EventQueue(this.#ended, () => this.#queues.delete(queue));
    this.#queues.add(queue);
    return queue;
  }

  #listener() {
    return {
      event: (event) => this.#event(event),
      open: (info) => this.#call(this.#options.onOpen, info),
      state: (change) => this.#change(change),
      error: (error) => this.#error(error),
      end: (closed) => this.#over(closed),
      room: (signal) => this.#room(signal),
      full: () => this.#full,
    };
  }

  get #full() {
    return [...this.#queues].some((queue) => queue.full);
  }

  /** Waits while somebody has more than can be held. */
  async #room(signal) {
    while (!signal.aborted && this.#full) {
      await new Promise((done) => {
        for (const queue of this.#queues) queue.whenRoom = done;
        signal.onabort = done;
      });
    }
  }

  #event(event) {
    if (event.type === "stream.reset") {
      this.#call(this.#options.onReset, { channel: event.data?.channel ?? null, reason: event.data?.reason ?? "unknown" });
    }
    this.#call(this.#options.onEvent, event);
    for (const type of [event.type, "*"]) {
      for (const { handler } of [...(this.#handlers.get(type) ?? [])]) this.#call(handler, event);
    }
    for (const queue of this.#queues) queue.push(event);
  }

  /** Runs a user's function. What it throws is reported and harms nothing. */
  #call(handler, argument) {
    if (typeof handler !== "function") return;
    try {
      handler(argument);
    } catch (cause) {
      const { onError } = this.#options;
      if (typeof onError !== "function" || handler === onError) report(cause);
      else this.#error(new StreamError("handler", "A handler of yours threw an exception.", { cause }));
    }
  }

  #error(error) {
    this.#call(this.#options.onError, error);
  }

  #change(change) {
    this.#state = change.state;
    this.#call(this.#options.onStateChange, change);
  }

  #over(closed) {
    const previous = this.#state;
    if (previous === "closed") return;
    this.#ended = closed;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#change({ state: "closed", previous, reason: closed.reason });
    for (const queue of this.#queues) queue.end(closed);
    this.#call(this.#options.onClose, closed);
    this.#finish(closed);
  }
}

export function connect(asked, options = {}) {
  return new Connection(asked, options);
}
