// One reconnecting stream: attempt after attempt, each from where the last one has come to.

import { Backoff } from "./backoff.js";
import { ending, trouble } from "./endings.js";
import { altered } from "./errors.js";
import { unwrapped } from "./events.js";
import { Liveness } from "./liveness.js";
import { opening } from "./opening.js";
import { watchPage } from "./page.js";
import { SSEParser } from "./parser.js";
import { MAX_TIMER_MS, slept } from "./waiting.js";

const SOON_MS = 1000; // from the beginning of an attempt to that of the next one, whatever asks for it: never a tight loop

/**
 * `listener` gets `event(event, parsed)`, `open(info)`, `state(change)`, `error(error)`, `beat()` and `end(closed)`; after
 * `stop()` it gets nothing more. While the promise of `room(signal)` is open nothing is read.
 */
export class Stream {
  state = "connecting";
  listener;
  #spec;
  #options;
  #credentials;
  #cursor;
  #backoff;
  #liveness;
  #unwatch;
  #now = null; // the AbortController of what goes on: an attempt, or the pause after it
  #began = 0;
  #cause = null; // why that was interrupted from here: `hidden`, `manual`, `refresh`, `back`, `silence` or `stop`
  #opened = 0;
  #refused = "no"; // the credential, since the stream was open last: `no`, `ask` for another one, `asked`
  #held = false; // the pause is the server's wish, which a page that comes back does not cut short
  #hidden = false;

  constructor(spec, options, credentials, listener, lastEventId = "") {
    this.#spec = spec;
    this.#options = options;
    this.#credentials = credentials;
    this.listener = listener;
    this.#cursor = lastEventId;
    this.#backoff = new Backoff(options);
    this.#liveness = new Liveness(options.silenceMs, () => this.#interrupt("silence"));
    this.#unwatch = watchPage(options.closeWhenHidden ?? false, (what) => this.#onPage(what));
    queueMicrotask(() => void this.#run());
  }

  get lastEventId() {
    return this.#cursor;
  }

  stop() {
    if (this.#stopped) return;
    this.state = "closed";
    this.#unwatch();
    this.#interrupt("stop");
  }

  /** Connect anew at once. */
  reconnect() {
    this.#interrupt("manual");
  }

  get #stopped() {
    return this.state === "closed";
  }

  #interrupt(cause) {
    this.#cause = cause;
    this.#now?.abort();
  }

  #end(closed) {
    if (this.#stopped) return;
    this.stop();
    this.listener.end(closed);
  }

  #fail(error) {
    if (this.#stopped) return;
    const final = error.final ? error : altered(error, { final: true });
    this.stop();
    this.listener.error(final);
    this.listener.end({ reason: final.code, error: final });
  }

  #setState(state, more) {
    if (this.#stopped || this.state === state) return;
    const previous = this.state;
    this.state = state;
    this.listener.state({ state, previous, ...more });
  }

  /** Something new goes on, which the signal ends. */
  #next() {
    this.#now = new AbortController();
    if (this.#stopped) this.#now.abort();
    return this.#now.signal;
  }

  #pause(ms) {
    return slept(ms, this.#next());
  }

  async #run() {
    while (!this.#stopped) {
      if (this.#hidden) {
        this.#setState("paused");
        await this.#pause(MAX_TIMER_MS);
      } else {
        await this.#afterwards(await this.#tried());
      }
    }
  }

  /** One attempt, from the request to the last byte. Returns what ended it, if that was not `#cause`. */
  async #tried() {
    this.#setState("connecting");
    this.#began = Date.now();
    this.#cause = null;
    const signal = this.#next();
    try {
      return signal.aborted ? null : await this.#attempt(signal);
    } catch (error) {
      return error;
    } finally {
      this.#now.abort(); // whatever is left of it
    }
  }

  async #attempt(signal) {
    const again = this.#refused === "ask";
    const credential = await this.#credentials.get(again ? "refused" : "start", signal);
    if (again) this.#refused = "asked";
    if (signal.aborted) return null;
    const reader = await opening(this.#spec.url, this.#options, credential, this.#cursor, signal);
    if (reader === null) return this.#end({ reason: "ended" });
    void this.#renew(credential, signal);
    return this.#read(reader, signal);
  }

  /** Changes over to the next credential before the one in use ends. */
  async #renew(credential, signal) {
    try {
      const renewed = await this.#credentials.renewed(credential, signal, (error) => this.listener.error(error));
      if (renewed) this.#interrupt("refresh");
    } catch (error) {
      this.#fail(error);
    }
  }

  async #read(reader, signal) {
    const parser = new SSEParser({ lastEventId: this.#cursor, maxEventSize: this.#options.maxEventSize });
    let close = null;
    this.#liveness.begin();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || signal.aborted) break;
        this.#liveness.arrived();
        const events = parser.feed(value);
        if (parser.retry !== null) this.#backoff.retryMs = parser.retry;
        for (const parsed of events) {
          close = this.#take(parsed) ?? close;
          if (signal.aborted) return null;
        }
        this.#cursor = parser.lastEventId;
        if (this.state !== "open" && !this.#spec.native && close === null) this.#open({});
        await this.#liveness.excuse(this.listener.room?.(signal));
      }
    } finally {
      this.#liveness.stop();
      reader.cancel().catch(() => {});
    }
    const error = ending(close, this.state === "open");
    if (error === null) this.#end({ reason: "finished" });
    return error;
  }

  /** One event. Returns the server's last words, if these are they. */
  #take(parsed) {
    if (parsed.type === "stream.heartbeat") {
      this.#liveness.beat();
      this.listener.beat?.();
      return null;
    }
    const event = unwrapped(parsed, this.#spec.native);
    this.#cursor = parsed.lastEventId;
    if (event.type === "stream.open") this.#open(event.data);
    else if (this.state !== "open" && event.type !== "stream.close") this.#open({});
    if (this.#stopped) return null;
    this.listener.event(event, parsed);
    return event.type === "stream.close" && typeof event.data === "object" ? (event.data ?? {}) : null;
  }

  #open({ resumed, connection, channels }) {
    this.#backoff.reset();
    this.#refused = "no";
    this.#opened += 1;
    this.#setState("open");
    if (this.#stopped) return;
    this.listener.open({ resumed: resumed ?? this.#cursor !== "", reconnected: this.#opened > 1, connection, channels });
  }

  /** Decides what follows on an attempt that ended with `error`, or by being interrupted. */
  #afterwards(error) {
    const cause = this.#cause;
    if (this.#stopped || cause === "hidden" || cause === "manual") return undefined;
    if (cause === "refresh" || cause === "back") return this.#untilSoon();
    const found = trouble(cause, error);
    if (found.code === "unauthorized" || found.code === "token_expired") return this.#askAgain(found);
    return found.final ? this.#fail(found) : this.#comeBackLater(found);
  }

  async #askAgain(error) {
    if (this.#credentials.renewable && this.#refused === "no") {
      this.#refused = "ask";
      if (error.code === "token_expired") await this.#untilSoon();
    } else {
      this.#fail(this.#credentials.any ? error : altered(error, { message: `${error.message} Give the option token or ticket.` }));
    }
  }

  async #comeBackLater(error) {
    const retryInMs = this.#backoff.next(error);
    // A clean end that the server had announced is no trouble.
    if (error.code !== "closed_by_server") this.listener.error(error);
    this.#held = error.retryAfterMs != null || error.code === "refused";
    this.#setState("waiting", { retryInMs, reason: error.reason ?? error.code });
    await this.#pause(retryInMs);
    this.#held = false;
  }

  #untilSoon() {
    return this.#pause(Math.max(0, this.#began + SOON_MS - Date.now()));
  }

  #onPage(what) {
    if (what === "hidden") {
      this.#hidden = true;
      this.#interrupt("hidden");
    } else if (this.#hidden || (this.state === "waiting" && !this.#held)) {
      this.#hidden = false;
      this.#now?.abort();
    } else if (this.state === "open" && (what !== "visible" || this.#liveness.stale)) {
      this.#interrupt("back");
    }
  }
}
