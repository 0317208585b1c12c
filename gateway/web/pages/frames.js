// One stream as bytes: frames exactly as they arrive, and a reconnect with the last cursor, as an EventSource has it.
// The pages' own client is sse-client.js; here the raw text is the point, which a parser would hide.

const END = /\r\n\r\n|\n\n|\r\r/;
const ENDED = "the job has ended";
const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/** The fields of a frame: {id, event, data, retry, comment}; what is not there is undefined. Pure. */
export function fields(frame) {
  const found = {};
  for (const line of frame.split(/\r\n|\r|\n/)) {
    const at = line.indexOf(":");
    const name = at === 0 ? "comment" : at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (name) found[name] = name === "data" && "data" in found ? `${found.data}\n${value}` : value;
  }
  return found;
}

/** What a frame says: {event, data}, where data that is no JSON object is an empty one. Pure. */
export function said({ event, data = "" }) {
  let found = null;
  try {
    found = JSON.parse(data);
  } catch {
    // It says nothing that could be read.
  }
  return { event, data: typeof found === "object" && found !== null ? found : {} };
}

/** Why the node asks not to come back after this was said, empty where it does not. Pure. */
export function farewell({ event, data: { reason, message, reconnect } }) {
  if (event !== "stream.close" || reconnect !== false) return "";
  return reason === "finished" ? ENDED : message || reason || "the node has ended the stream for good";
}

export class RawStream {
  cursor = "";
  #stop = new AbortController();
  #cut = new AbortController();
  #retryMs = 1000;
  #held = null;
  #letGo = () => {};

  /** `on` has frame(text, fields, said), opened(resumedAt), lost(why, waitMs), ended(why). `final` is a function of what a
   *  frame says: whether the story is over, so that an end is no loss. */
  constructor(url, { token = "", on, final }) {
    this.url = url;
    this.token = token;
    this.on = on;
    this.final = final;
    this.over = "";
    this.#run();
  }

  /** Break the connection; it comes back by itself. */
  cut() {
    this.#cut.abort();
  }

  /** Give the connection back until {@link resume}: a page that nobody sees needs none. */
  pause() {
    if (this.#held) return;
    this.#held = new Promise((resolve) => (this.#letGo = resolve));
    this.#cut.abort();
  }

  resume() {
    this.#held = null;
    this.#letGo();
  }

  close() {
    this.resume();
    this.#stop.abort();
    this.#cut.abort();
  }

  async #run() {
    for (let failures = 0; !this.#stop.signal.aborted; ) {
      if (this.#held) await this.#held;
      if (this.#stop.signal.aborted) return;
      this.#cut = new AbortController();
      let why = "the connection was lost";
      try {
        const answer = await this.#request();
        if (answer.status === 204) return this.on.ended("204: nothing more will come");
        if (answer.status !== 200) {
          const said = await answer.json().catch(() => null);
          const sentence = said?.error?.message ?? `status ${answer.status}`;
          if (answer.status < 500 && answer.status !== 429) return this.on.ended(sentence);
          why = sentence;
        } else {
          failures = 0;
          this.on.opened(this.cursor);
          await this.#read(answer.body.getReader());
          why = "the node ended the stream";
        }
      } catch (error) {
        if (this.#cut.signal.aborted) why = this.#held ? "paused, because nobody sees this tab" : "cut by you";
        else if (!(error instanceof TypeError) && error.name !== "AbortError") throw error;
      }
      if (this.#stop.signal.aborted) return;
      if (this.over) return this.on.ended(this.over);
      if (this.#held) {
        this.on.lost(why, 0);
        continue;
      }
      failures += 1;
      const waitMs = Math.min(10_000, this.#retryMs * failures) * (0.75 + Math.random() / 2);
      this.on.lost(why, waitMs);
      await pause(waitMs, this.#stop.signal);
    }
  }

  #request() {
    const headers = { Accept: "text/event-stream" };
    if (this.cursor) headers["Last-Event-ID"] = this.cursor;
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    return fetch(this.url, { headers, cache: "no-store", credentials: "omit", signal: this.#cut.signal });
  }

  async #read(reader) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + decoder.decode(value, { stream: true })).split(END);
      rest = parts.pop();
      for (const part of parts) if (part) this.#take(part);
    }
  }

  #take(text) {
    const found = fields(text);
    if (found.id !== undefined) this.cursor = found.id;
    if (/^\d+$/.test(found.retry ?? "")) this.#retryMs = Math.min(Number(found.retry), 2000);
    const says = said(found);
    this.over ||= this.final(says) ? ENDED : farewell(says);
    this.on.frame(text, found, says);
  }
}
