// Follows Server-Sent Events of sse-gateway (and of other servers) over fetch: resume, backoff, liveness, fresh
// credentials, one connection for all tabs. One module without dependencies; its types are in sse-client.d.ts.

const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_SERVER_WAIT_MS = 600_000; // what a server may ask for at most; beyond it is a mistake
const MAX_CURSOR = 4096; // the node reads no more; a longer id is not sent back
const MAX_CHANNELS = 32;
const EXPIRY_MARGIN_MS = 30_000;
const SILENCE_MS = 45_000;
const STALE_MS = 20_000; // who comes back to a page does not wait for the full silence
const NATIVE = /\/v1\/(events|jobs\/events|jobs\/[^/]+\/events|clients\/[^/]+\/events)$/;
const TERMINAL = new Set(["job.completed", "job.failed", "job.cancelled"]);

export class StreamError extends Error {
  constructor(code, message, { final = false, status, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StreamError";
    this.code = code;
    this.final = final;
    if (status !== undefined) this.status = status;
  }
}

// The parser ----------------------------------------------------------------------------------------------------------

export class SSEParser {
  #decoder = new TextDecoder("utf-8"); // drops one byte order mark at the very beginning, as the standard says
  #limit;
  #line = "";
  #afterCr = false;
  #data = [];
  #size = 0;
  #type = "";
  #id;

  constructor({ lastEventId = "", maxEventSize = 1_048_576 } = {}) {
    this.lastEventId = lastEventId;
    this.retry = null;
    this.#id = lastEventId;
    this.#limit = maxEventSize;
  }

  feed(chunk) {
    const text = this.#decoder.decode(chunk, { stream: true });
    const events = [];
    let start = this.#afterCr && text[0] === "\n" ? 1 : 0;
    if (text) this.#afterCr = false;
    const ends = /[\r\n]/g;
    for (ends.lastIndex = start; ends.test(text); ends.lastIndex = start) {
      const end = ends.lastIndex - 1;
      this.#read(this.#line + text.slice(start, end), events);
      this.#line = "";
      start = end + 1;
      if (text[end] === "\r") {
        if (start === text.length) this.#afterCr = true;
        else if (text[start] === "\n") start += 1;
      }
    }
    this.#line += text.slice(start);
    this.#check(this.#line.length);
    return events;
  }

  #check(more) {
    if (this.#size + more > this.#limit) {
      throw new StreamError(
        "too_large",
        `An event has more than ${this.#limit} characters; raise maxEventSize if that is meant.`,
        { final: true },
      );
    }
  }

  #read(line, events) {
    if (line === "") return this.#dispatch(events);
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    this.#check(line.length);
    if (name === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    return undefined;
  }

  #dispatch(events) {
    this.lastEventId = this.#id;
    if (this.#data.length > 0) {
      events.push({ type: this.#type || "message", data: this.#data.join("\n"), lastEventId: this.#id });
    }
    this.#data = [];
    this.#size = 0;
    this.#type = "";
  }
}

// Small things --------------------------------------------------------------------------------------------------------

/** Reports what a user's own function threw, without letting it reach the stream. */
function report(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}

function claims(token) {
  try {
    const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    const found = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

export function tokenExpiry(token) {
  const { exp } = claims(token);
  return typeof exp === "number" && Number.isFinite(exp) ? exp * 1000 : null;
}

export function tokenSubject(token) {
  const { sub } = claims(token);
  return typeof sub === "string" ? sub : null;
}

/** Milliseconds that a fresh token lasts. Where the clock here says that it is over already, its own two times count. */
function lifetime(token, expiresAt) {
  if (expiresAt === null) return null;
  const left = expiresAt - Date.now();
  const { iat } = claims(token);
  if (left <= 0 && typeof iat === "number") return Math.max(0, expiresAt - iat * 1000);
  return Math.max(0, left);
}

/** A header's value is a row of bytes; a cursor with other characters goes as UTF-8. */
function headerValue(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

function retryAfter(response) {
  const value = response.headers.get("retry-after");
  if (value === null) return null;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** `promise`, unless `signal` is aborted or `ms` pass before. */
function within(promise, ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("It took too long.")), ms);
    const stop = () => reject(new Error("It was aborted."));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    Promise.resolve(promise)
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
      });
  });
}

/** Calls `seen` with `online`, `visible`, `hidden` and `restored` (from the back/forward cache). Returns how to stop. */
function watchPage(seen) {
  const page = globalThis.document;
  if (typeof globalThis.addEventListener !== "function") return () => {};
  const online = () => seen("online");
  const shown = (event) => event.persisted && seen("restored");
  const visibility = () => seen(page.visibilityState === "hidden" ? "hidden" : "visible");
  globalThis.addEventListener("online", online);
  globalThis.addEventListener("pageshow", shown);
  page?.addEventListener("visibilitychange", visibility);
  return () => {
    globalThis.removeEventListener("online", online);
    globalThis.removeEventListener("pageshow", shown);
    page?.removeEventListener("visibilitychange", visibility);
  };
}

// Where to ------------------------------------------------------------------------------------------------------------

/** The address of a path of the node; a base URL keeps the path under which a proxy shows the node. */
function resolve(path, baseUrl) {
  const given = baseUrl === undefined ? globalThis.location?.href : new URL(String(baseUrl), globalThis.location?.href).href;
  if (given === undefined && !/^https?:/.test(path)) {
    throw new TypeError(`${path} is relative and there is no page: give the option baseUrl.`);
  }
  if (baseUrl !== undefined && path.startsWith("/")) return new URL(given.replace(/[?#].*$/, "").replace(/\/$/, "") + path);
  return new URL(path, given);
}

/** What `connect` is to follow. */
function target(asked, options) {
  let url;
  if (Array.isArray(asked)) {
    const channels = [...new Set(asked)];
    if (channels.length < 1 || channels.length > MAX_CHANNELS) {
      throw new TypeError(`Name 1 to ${MAX_CHANNELS} channels, not ${channels.length}.`);
    }
    url = resolve("/v1/events", options.baseUrl);
    for (const channel of channels) url.searchParams.append("channel", channel);
  } else {
    url = resolve(String(asked), options.baseUrl);
  }
  const native = options.native ?? NATIVE.test(url.pathname);
  if (native) {
    if (!url.searchParams.has("envelope")) url.searchParams.set("envelope", "1");
    if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", "event");
  }
  return { url, native, channels: channelsOf(url) };
}

/** The channels that a native URL names; null where only the server knows them. `user` stands for the caller's jobs. */
function channelsOf(url) {
  const path = NATIVE.exec(url.pathname)?.[1];
  if (path === undefined) return null;
  if (path === "events") return [...new Set(url.searchParams.getAll("channel"))];
  if (path === "jobs/events") return ["user:"];
  const id = decodeURIComponent(path.split("/")[1]);
  return path.startsWith("jobs/") ? [`job:${id}`] : [`client:${id}`, "broadcast"];
}

/** The part of a native URL's path in front of `/v1/`. */
function nodeOf(url) {
  return url.origin + url.pathname.slice(0, url.pathname.lastIndexOf("/v1/"));
}

// Credentials ---------------------------------------------------------------------------------------------------------

/** The token or ticket of one stream: asked for when needed, kept while it lasts. */
class Credentials {
  #token;
  #ticket;
  #mint;
  #timeoutMs;
  #held = null;
  #heldToken = null;
  #subject;

  constructor(options, { url, channels }) {
    this.#token = options.token ?? null;
    this.#ticket = options.ticket ?? null;
    this.#timeoutMs = options.connectTimeoutMs ?? 30_000;
    this.#mint = null;
    if (options.ticketUrl) {
      const address = options.ticketUrl === true ? `${nodeOf(url)}/v1/tickets` : resolve(String(options.ticketUrl), options.baseUrl);
      this.#mint = { address, channels: options.ticketChannels ?? channels, options };
      if (!this.#mint.channels) throw new TypeError("This URL does not tell its channels: give the option ticketChannels.");
    }
  }

  /** Whether there is somebody to ask for another one. */
  get renewable() {
    return this.#mint !== null || typeof this.#ticket === "function" || (this.#ticket === null && typeof this.#token === "function");
  }

  get any() {
    return this.#mint !== null || this.#ticket !== null || this.#token !== null;
  }

  get current() {
    return this.#held;
  }

  /** From now on only tokens of this subject are good. */
  expect(subject) {
    this.#subject = subject;
  }

  /** `{token, ticket, expiresAt, refreshAt}`, all null without credentials. Throws StreamError. */
  async get(reason, signal) {
    if (reason === "start" && this.#held !== null && !(this.#held.expiresAt !== null && this.#held.expiresAt <= Date.now())) {
      return this.#held;
    }
    const asked = this.#held === null && reason !== "refused" ? "start" : reason === "start" ? "expiring" : reason;
    this.#held = await this.#ask(asked, signal);
    return this.#held;
  }

  async #ask(reason, signal) {
    if (this.#mint !== null) return this.#minted(reason, signal);
    if (this.#ticket !== null) {
      const found = await this.#call("ticket", this.#ticket, reason, signal);
      const ticket = typeof found === "string" ? { ticket: found } : found;
      if (typeof ticket?.ticket !== "string") throw noCredential("ticket", "it gave no ticket");
      return lease({ ticket: ticket.ticket }, ticket.ticket, ticket.expires_at);
    }
    const token = await this.#ownToken(reason, signal);
    return token === null ? { expiresAt: null, refreshAt: null } : lease({ token }, token);
  }

  async #ownToken(reason, signal) {
    const token = (await this.#call("token", this.#token, reason, signal)) ?? null;
    if (token !== null && typeof token !== "string") throw noCredential("token", "it gave something that is no string");
    if (this.#subject !== undefined && (token ? tokenSubject(token) : null) !== this.#subject) {
      throw new StreamError("subject_changed", "The token is another user's now; connect again for that user.", { final: true });
    }
    return token || null;
  }

  async #call(name, source, reason, signal) {
    if (typeof source !== "function") return source;
    try {
      return await within((async () => source({ reason, signal }))(), this.#timeoutMs, signal);
    } catch (error) {
      if (error instanceof StreamError) throw error;
      throw noCredential(name, "it failed", error);
    }
  }

  /** A ticket for these channels, bought with the token; a refused token is asked for anew once. */
  async #minted(reason, signal) {
    const expiry = this.#heldToken === null ? null : tokenExpiry(this.#heldToken);
    const old = this.#heldToken === null || reason === "refused" || (expiry !== null && expiry < Date.now() + 2 * EXPIRY_MARGIN_MS);
    if (old) this.#heldToken = await this.#ownToken(this.#heldToken === null && reason !== "refused" ? "start" : reason, signal);
    let response = await this.#post(signal);
    if (response.status === 401 && !old && typeof this.#token === "function") {
      this.#heldToken = await this.#ownToken("refused", signal);
      response = await this.#post(signal);
    }
    if (!response.ok) throw await refusal(response, "The ticket was refused");
    const body = await response.json().catch(() => null);
    if (typeof body?.ticket !== "string") throw noCredential("ticket", "the answer holds no ticket");
    return lease({ ticket: body.ticket }, body.ticket, body.expires_at);
  }

  async #post(signal) {
    const { address, channels, options } = this.#mint;
    const headers = { ...options.headers, "Content-Type": "application/json" };
    if (this.#heldToken !== null) headers.Authorization = `Bearer ${this.#heldToken}`;
    const body = JSON.stringify({ channels });
    const request = { method: "POST", headers, body, signal, cache: "no-store", credentials: credentialsMode(options) };
    try {
      return await within((options.fetch ?? globalThis.fetch)(String(address), request), this.#timeoutMs, signal);
    } catch (error) {
      throw noCredential("ticket", "the request failed", error);
    }
  }
}

function lease(found, text, seconds) {
  const expiresAt = typeof seconds === "number" ? seconds * 1000 : tokenExpiry(text);
  const left = lifetime(text, expiresAt);
  if (left === null) return { ...found, expiresAt: null, refreshAt: null };
  // Half a minute before its end; a short-lived one after three quarters of its life, but two seconds before.
  const margin = Math.min(EXPIRY_MARGIN_MS, Math.max(left / 4, 2000));
  return { ...found, expiresAt: Date.now() + left, refreshAt: Date.now() + Math.max(0, left - margin) };
}

function noCredential(name, what, cause) {
  return new StreamError("credential", `There is no ${name} to connect with: ${what}.`, { cause });
}

function credentialsMode(options) {
  return options.credentials ?? (options.withCredentials ? "include" : "same-origin");
}

/** The error of an answer that is no stream, in the server's own words where it has some. */
async function refusal(response, what) {
  const { status } = response;
  const body = await response.json().catch(() => null);
  const words = body?.error?.message ?? body?.error ?? null;
  const code = { 400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found" }[status] ?? "http_error";
  const temporary = status >= 500 || status === 408 || status === 425 || status === 429;
  const error = new StreamError(code, `${what} (${status}${typeof words === "string" ? `: ${words}` : ""})`, {
    final: !temporary,
    status,
  });
  error.retryAfterMs = retryAfter(response);
  return error;
}

// One stream ----------------------------------------------------------------------------------------------------------

/**
 * One reconnecting stream. `listener` gets `event(event)`, `open(info)`, `state(change)`, `error(error)`, `beat()` and
 * `end(closed)`; after `stop()` it gets nothing more.
 */
class Stream {
  state = "connecting";
  listener;
  #spec;
  #options;
  #credentials;
  #parser = null;
  #cursor;
  #retryMs = null;
  #attempts = 0;
  #askedAgain = false;
  #opened = 0;
  #reason = "start";
  #began = 0;
  #controller = null;
  #cause = null;
  #wake = null;
  #held = false;
  #stopped = false;
  #hidden = false;
  #lastByte = 0;
  #busy = false;
  #lastBeat = 0;
  #beatMs = null;
  #timers = {};
  #unwatch;

  constructor(spec, options, credentials, listener, lastEventId = "") {
    this.#spec = spec;
    this.#options = options;
    this.#credentials = credentials;
    this.listener = listener;
    this.#cursor = lastEventId;
    this.#unwatch = watchPage((what) => this.#onPage(what));
    queueMicrotask(() => void this.#run());
  }

  get lastEventId() {
    return this.#cursor;
  }

  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#unwatch();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    this.#interrupt("stop");
    this.state = "closed";
  }

  /** Connect anew at once. `cause` is `refresh`, `back` or `manual`. */
  reconnect(cause = "manual") {
    if (!this.#stopped) this.#interrupt(cause);
  }

  #interrupt(cause) {
    this.#cause = cause;
    this.#controller?.abort();
    this.#wake?.();
  }

  #end(closed) {
    if (this.#stopped) return;
    this.stop();
    this.listener.end(closed);
  }

  #fail(error) {
    if (this.#stopped) return;
    const final = error.final ? error : new StreamError(error.code, error.message, { ...error, final: true, cause: error.cause });
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

  async #run() {
    if (globalThis.document?.visibilityState === "hidden") this.#onPage("hidden");
    while (!this.#stopped) {
      if (this.#hidden) {
        this.#setState("paused");
        await this.#sleep(MAX_TIMER_MS);
        continue;
      }
      this.#setState("connecting");
      this.#began = Date.now();
      this.#cause = null;
      this.#controller = new AbortController();
      let error = null;
      try {
        error = await this.#attempt(this.#controller.signal);
      } catch (caught) {
        error = caught;
      }
      this.#controller.abort(); // whatever is left of this attempt
      this.#controller = null;
      clearTimeout(this.#timers.silence);
      clearTimeout(this.#timers.refresh);
      if (!this.#stopped) await this.#afterwards(error);
    }
  }

  /** Decides what follows on an attempt that ended with `error`, or without one where a new one is to follow at once. */
  async #afterwards(error) {
    const cause = this.#cause;
    if (cause === "hidden") return;
    if (cause === "refresh" || cause === "back" || cause === "manual") {
      // Never a tight loop, whatever asks for it.
      if (cause !== "manual") await this.#sleep(Math.max(0, this.#began + 1000 - Date.now()));
      return;
    }
    if (cause === "silence") error = new StreamError("silence", "Nothing has arrived for too long; the connection is taken for dead.");
    else if (cause === "timeout") error = new StreamError("timeout", "The server did not answer in time.");
    else if (!(error instanceof StreamError)) {
      error = new StreamError("network", "The connection failed or was cut; the network or the server is away.", { cause: error });
    }
    if (error.code === "unauthorized" || error.code === "token_expired") {
      if (this.#credentials.renewable && !this.#askedAgain) {
        this.#askedAgain = true;
        this.#reason = "refused";
        if (error.code === "token_expired") await this.#sleep(Math.max(0, this.#began + 1000 - Date.now()));
        return;
      }
      if (!this.#credentials.any) error = new StreamError(error.code, `${error.message} Give the option token or ticket.`, { final: true, status: error.status });
      this.#fail(error);
      return;
    }
    if (error.final) {
      this.#fail(error);
      return;
    }
    const delay = this.#delay(error);
    this.#attempts += 1;
    this.#held = error.retryAfterMs != null || error.code === "refused";
    // A clean end that the server had announced is no trouble.
    if (error.code !== "closed_by_server") this.listener.error(error);
    this.#setState("waiting", { retryInMs: delay, reason: error.reason ?? error.code });
    await this.#sleep(delay);
    this.#held = false;
  }

  /** Full jitter up to a doubling limit, and never less than the server asks for. */
  #delay(error) {
    const { minDelayMs = 1000, maxDelayMs = 30_000 } = this.#options;
    const jitter = Math.random() * Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(this.#attempts, 20));
    const asked = error.retryAfterMs ?? this.#retryMs ?? (error.code === "closed_by_server" ? minDelayMs / 2 : 0);
    return Math.round(Math.max(jitter, Math.min(asked, MAX_SERVER_WAIT_MS)));
  }

  #sleep(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, Math.min(ms, MAX_TIMER_MS));
      this.#wake = () => {
        clearTimeout(timer);
        done();
      };
      if (this.#stopped) this.#wake();
    }).finally(() => (this.#wake = null));
  }

  async #attempt(signal) {
    const reason = this.#reason;
    const credential = await this.#credentials.get(reason, signal);
    this.#reason = "start";
    if (signal.aborted) return null;
    const response = await this.#fetch(credential, signal);
    if (response.status === 204) {
      this.#end({ reason: "ended" });
      return null;
    }
    if (response.status !== 200) throw await refusal(response, "The server refused the stream");
    if (!/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) {
      throw new StreamError("bad_content_type", "The answer is no event stream; check the address, and what stands between.", { final: true });
    }
    this.#refreshLater(credential);
    return this.#read(response.body.getReader(), signal);
  }

  async #fetch({ token, ticket }, signal) {
    const url = new URL(this.#spec.url);
    if (ticket) url.searchParams.set("ticket", ticket);
    const headers = { ...this.#options.headers, Accept: "text/event-stream" };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (this.#cursor && this.#cursor.length <= MAX_CURSOR) headers["Last-Event-ID"] = headerValue(this.#cursor);
    this.#timers.connect = setTimeout(() => this.#interrupt("timeout"), this.#options.connectTimeoutMs ?? 30_000);
    try {
      const call = this.#options.fetch ?? globalThis.fetch;
      return await call(url.href, { headers, signal, cache: "no-store", credentials: credentialsMode(this.#options) });
    } finally {
      clearTimeout(this.#timers.connect);
    }
  }

  async #read(reader, signal) {
    this.#parser = new SSEParser({ lastEventId: this.#cursor, maxEventSize: this.#options.maxEventSize });
    this.#lastByte = Date.now();
    this.#lastBeat = 0;
    this.#watchSilence();
    let close = null;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || signal.aborted) break;
        this.#lastByte = Date.now();
        const events = this.#parser.feed(value);
        if (this.#parser.retry !== null) this.#retryMs = this.#parser.retry;
        for (const parsed of events) {
          const found = this.#take(parsed);
          if (found !== null) close = found;
          if (signal.aborted) return null;
        }
        this.#cursor = this.#parser.lastEventId;
        if (this.state !== "open" && !this.#spec.native && close === null) this.#open({});
        this.#busy = true; // waiting for a slow reader is no silence
        await this.listener.room?.(signal);
        this.#busy = false;
      }
    } finally {
      this.#busy = false;
      reader.cancel().catch(() => {});
    }
    return this.#ending(close);
  }

  /** One event. Returns the server's last words, if these are they. */
  #take(parsed) {
    if (parsed.type === "stream.heartbeat") {
      this.#beat();
      return null;
    }
    const event = unwrapped(parsed, this.#spec.native);
    this.#cursor = parsed.lastEventId;
    if (event.type === "stream.open") this.#open(event.data);
    else if (this.state !== "open" && event.type !== "stream.close") this.#open({});
    this.listener.event(event, parsed);
    return event.type === "stream.close" && typeof event.data === "object" ? (event.data ?? {}) : null;
  }

  #open({ resumed, connection, channels }) {
    this.#attempts = 0;
    this.#askedAgain = false;
    this.#opened += 1;
    this.#setState("open");
    this.listener.open({ resumed: resumed ?? this.#cursor !== "", reconnected: this.#opened > 1, connection, channels });
  }

  /** What the end of the stream means. */
  #ending(close) {
    if (close === null) return Object.assign(new StreamError("closed_by_server", "The stream has ended."), { reason: "end" });
    const { reason = "end", reconnect = true, message = "" } = close;
    if (reconnect !== false) {
      const refused = this.state !== "open";
      const error = new StreamError(refused ? "refused" : "closed_by_server", `The server asks to come back later (${reason}). ${message}`);
      return Object.assign(error, { reason });
    }
    if (reason === "token_expired") return new StreamError("token_expired", "The token has expired; give a function as token that gets a new one.", { final: true });
    if (reason === "finished") {
      this.#end({ reason });
      return null;
    }
    return new StreamError(reason, `The server has ended the stream for good (${reason}). ${message}`, { final: true });
  }

  // Credentials that are about to expire ---

  #refreshLater({ refreshAt, expiresAt }) {
    clearTimeout(this.#timers.refresh);
    if (refreshAt === null || !this.#credentials.renewable) return;
    const wait = Math.max(0, refreshAt - Date.now());
    if (wait > MAX_TIMER_MS) return;
    this.#timers.refresh = setTimeout(() => void this.#refresh(expiresAt), wait);
  }

  /** Gets the next credential while the old one still serves, then changes over. */
  async #refresh(expiresAt) {
    const signal = this.#controller?.signal;
    if (signal === undefined || signal.aborted) return;
    let next = null;
    try {
      next = await this.#credentials.get("expiring", signal);
    } catch (error) {
      if (error.code === "subject_changed") this.#fail(error);
      // The old one serves on.
      if (!signal.aborted) this.listener.error(new StreamError(error.code, error.message, { status: error.status, cause: error.cause }));
    }
    if (signal.aborted || this.#stopped) return;
    if (next !== null && (next.expiresAt === null || next.expiresAt > expiresAt)) {
      this.reconnect("refresh");
    } else if (Date.now() < expiresAt) {
      const wait = Math.min(30_000, Math.max(1000, (expiresAt - Date.now()) / 2)) * (0.5 + Math.random() / 2);
      this.#timers.refresh = setTimeout(() => void this.#refresh(expiresAt), wait);
    }
  }

  // Liveness ---

  #beat() {
    const now = Date.now();
    if (this.#lastBeat > 0) {
      const gap = now - this.#lastBeat;
      this.#beatMs = this.#beatMs === null ? gap : Math.max(gap, this.#beatMs * 0.9);
    }
    this.#lastBeat = now;
    this.#watchSilence(); // it may be known only now how long to wait
    this.listener.beat?.();
  }

  /** Milliseconds of silence after which a stream is dead; 0: never. */
  #patience() {
    const limit = this.#options.silenceMs ?? SILENCE_MS;
    if (limit === 0) return 0;
    return this.#beatMs === null ? limit : Math.min(limit, Math.max(500, this.#beatMs * 2.5));
  }

  #watchSilence(grace = 0) {
    clearTimeout(this.#timers.silence);
    const limit = this.#patience();
    if (limit === 0 || this.#stopped) return;
    const left = Math.max(grace, this.#lastByte + limit - Date.now());
    this.#timers.silence = setTimeout(() => {
      if (this.#busy) this.#lastByte = Date.now();
      const late = Date.now() - this.#lastByte - this.#patience();
      if (late < 0) this.#watchSilence();
      // A timer that comes much too late says that the machine slept: what has arrived meanwhile is read first.
      else if (late > 2000 && grace === 0) this.#watchSilence(1000);
      else this.#interrupt("silence");
    }, left);
  }

  #onPage(what) {
    const { closeWhenHidden = false } = this.#options;
    clearTimeout(this.#timers.hidden);
    if (what === "hidden") {
      if (closeWhenHidden === false) return;
      this.#timers.hidden = setTimeout(() => {
        this.#hidden = true;
        this.#interrupt("hidden");
      }, closeWhenHidden === true ? 0 : closeWhenHidden);
      return;
    }
    if (this.#hidden) {
      this.#hidden = false;
      this.#wake?.();
      return;
    }
    if (this.state === "waiting" && !this.#held) this.#wake?.();
    const stale = Date.now() - this.#lastByte > (this.#beatMs === null ? STALE_MS : this.#beatMs * 1.5 + 500);
    if (this.state === "open" && (what !== "visible" || stale)) this.#interrupt("back");
  }
}

/** An event as users see it; a native one is taken out of its envelope. */
function unwrapped({ type, data: raw, lastEventId: id }, native) {
  let data = raw;
  try {
    data = JSON.parse(raw);
  } catch {
    // Text is data, too.
  }
  if (native && type === "message" && typeof data?.channel === "string" && typeof data.type === "string") {
    const { channel, seq, epoch, time, traceparent } = data;
    const event = { type: data.type, data: data.data, raw, id, channel, seq, epoch, time };
    if (traceparent !== undefined) event.traceparent = traceparent;
    return event;
  }
  return { type, data, raw, id };
}

// One connection for all tabs -----------------------------------------------------------------------------------------
//
// A member (one `connect`) always begins with a stream of its own, which shows that its channels may be read and brings
// their newest state. Then it asks the tabs' leader to carry its channels. The leader has one stream for the channels of
// all tabs (the carrier) and repeats its events on a BroadcastChannel, with the position of each; as soon as a member has
// everything up to the leader's position, it is attached and lets its own stream go. From then on it takes an event only
// if that is the next one: what it has already is dropped, and a hole makes it go back to a stream of its own, from its
// own cursor, until it has caught up. So neither a late tab nor the death of a leader loses or repeats an event, and
// nothing has to be buffered. Tokens never leave their tab: the carrier uses one of the leading tab.

const SETTLE_MS = 200; // how long a new leader waits for the positions of the tabs
const GATHER_MS = 50; // wishes that come together are served together
const GRACE_MS = 2000; // how long a member waits for a new leader before it helps itself
const RENEW_MS = 20_000; // how often a tab repeats what it needs
const FORGET_MS = 150_000; // a tab that has said nothing for so long is gone
const LEADER_BEAT_MS = 10_000;
const REFUSED = new Set(["not_found", "forbidden", "bad_request"]);

/** Where a part of a cursor (`TAG.EPOCH.SEQ.MARK`, `TAG.0` before the first event) stands; null while it is no position. */
function position(part) {
  const [, epoch, seq, mark] = part.split(".");
  if (epoch === "0" && seq === undefined) return { epoch: "", seq: 0 };
  return mark !== undefined && !mark.endsWith("~") && /^[1-9][0-9]*$/.test(seq) ? { epoch, seq: Number(seq) } : null;
}

/** Whether who has `mine` lacks nothing up to `theirs`. */
function covers(mine, theirs) {
  const [here, there] = [position(mine), position(theirs)];
  return here !== null && there !== null && here.seq >= there.seq && (here.epoch === there.epoch || there.seq === 0);
}

/** Takes the cursors of one stream apart: `stream.open` names its channels in the order of the cursor's parts. */
class Tags {
  #channels = new Map();

  learn(channels, id) {
    const parts = id.split(",");
    this.#channels = parts.length === channels?.length ? new Map(parts.map((part, i) => [part.split(".")[0], channels[i]])) : new Map();
  }

  /** Part by channel; empty where this is no cursor of a node. */
  split(id) {
    const found = new Map();
    for (const part of id.split(",")) {
      const channel = this.#channels.get(part.split(".")[0]);
      if (channel !== undefined) found.set(channel, part);
    }
    return found;
  }
}

/** Who the tabs of a session have in common; null where that cannot be known, and sharing might mix up two users. */
function commonUser(options) {
  if (options.ticket != null || options.ticketUrl) return null;
  if (options.token != null) return "token";
  if (options.subject !== undefined) return `subject ${options.subject}`;
  return options.credentials === "omit" ? "anonymous" : null;
}

function canShare(spec, options) {
  return spec.native && commonUser(options) !== null && globalThis.navigator?.locks !== undefined && globalThis.BroadcastChannel !== undefined;
}

/** One `connect` with `shared`. To its Connection it is what a Stream is. */
class Member {
  attached = false;
  channels = [];
  parts = new Map();
  state = "connecting";
  #spec;
  #options;
  #credentials;
  #listener;
  #tags = new Tags();
  #stream = null;
  #session = null;
  #ended = new Set();
  #grace;
  #news = false;
  #shown = false;
  #stopped = false;

  constructor(spec, options, credentials, listener, lastEventId) {
    this.#spec = spec;
    this.#options = options;
    this.#credentials = credentials;
    this.#listener = listener;
    this.#alone(lastEventId);
  }

  get options() {
    return this.#options;
  }

  /** The node's address, without a path of its API. */
  get node() {
    return nodeOf(this.#spec.url);
  }

  get lastEventId() {
    return this.#stream?.lastEventId ?? this.channels.map((channel) => this.parts.get(channel)).join(",");
  }

  /** Whether all its channels stand somewhere, so that another stream can go on from there. */
  get told() {
    return this.channels.length > 0 && this.channels.every((channel) => this.parts.has(channel) && position(this.parts.get(channel)) !== null);
  }

  reconnect() {
    if (this.#stream !== null) this.#stream.reconnect();
    else this.#session?.toLeader({ t: "again" });
  }

  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    this.attached = false;
    clearTimeout(this.#grace);
    this.#stream?.stop();
    this.#session?.leave(this);
  }

  /** Its own stream, for the leader to go on with as the carrier. */
  give(listener) {
    const stream = this.#stream;
    if (stream === null || stream.state !== "open" || (this.#options.closeWhenHidden ?? false) !== false) return null;
    this.#stream = null;
    this.attached = true;
    stream.listener = listener;
    return stream;
  }

  get tags() {
    return this.#tags;
  }

  // With a stream of its own ---

  #alone(cursor) {
    this.attached = false;
    clearTimeout(this.#grace);
    const stream = new Stream(this.#spec, this.#options, this.#credentials, {
      event: (event) => this.#own(event),
      open: (info) => {
        this.#news = this.state !== "open";
        this.#show({ state: "open" }, info);
      },
      state: (change) => change.state !== "open" && this.#show(change),
      error: (error) => this.#listener.error(error),
      end: (closed) => this.#end(closed),
      room: (signal) => this.#listener.room?.(signal),
    }, cursor);
    this.#stream = stream;
  }

  #own(event) {
    if (event.type === "stream.open") {
      this.channels = event.data?.channels ?? [];
      this.#tags.learn(event.data?.channels, event.id);
      this.#join();
    }
    for (const [channel, part] of this.#tags.split(event.id)) this.parts.set(channel, part);
    this.#note(event);
    // Another stream in the middle of the story is nobody's business.
    if (event.type !== "stream.open" || this.#news) this.#listener.event(event);
    if (!this.#stopped && this.#stream !== null) this.#session?.told(this);
  }

  #join() {
    if (this.#session !== null) return;
    const { token } = this.#credentials.current ?? {};
    const subject = token ? tokenSubject(token) : null;
    if (token && subject === null) return; // a token that does not say whose it is
    const user = token ? `user ${subject}` : commonUser(this.#options);
    if (token) this.#credentials.expect(subject);
    this.#session = Session.of(`sse-gateway/1 ${this.node} ${user}`, token ? subject : undefined, this.#options.silenceMs);
    this.#session.join(this);
  }

  // With the leader's words ---

  /** The leader stands at `tops`. Lets the own stream go if that leaves no hole. */
  compare(tops, flows) {
    if (this.#stopped || !this.channels.length) return;
    const carried = this.channels.every((channel) => tops.has(channel));
    const whole = carried && this.channels.every((channel) => this.parts.has(channel) && covers(this.parts.get(channel), tops.get(channel)));
    if (this.attached) {
      const behind = carried && this.channels.some((channel) => position(tops.get(channel)) !== null && !covers(this.parts.get(channel), tops.get(channel)));
      if (behind) this.detach();
      else if (carried) clearTimeout(this.#grace);
      else this.orphan();
    } else if (whole && flows && !this.#listener.full?.()) {
      clearTimeout(this.#grace);
      this.attached = true;
      this.#stream?.stop();
      this.#stream = null;
      this.#show({ state: "open" }, { resumed: true });
    }
  }

  /** The leader repeats an event of `channel` (null: of all), after which the channel stands at `part`. */
  relay(channel, part, parsed) {
    if (!this.attached || this.#stopped || (channel !== null && !this.channels.includes(channel))) return;
    if (this.#listener.full?.()) {
      this.detach();
      return;
    }
    const event = unwrapped({ ...parsed, lastEventId: "" }, true);
    if (event.seq !== undefined) {
      const here = position(this.parts.get(channel));
      if (here !== null) {
        const known = here.seq === 0 || here.epoch === event.epoch;
        if (known && event.seq <= here.seq) return;
        if (!known || event.seq !== here.seq + 1) {
          this.detach();
          return;
        }
      }
    }
    if (channel !== null) this.parts.set(channel, part);
    event.id = this.lastEventId;
    this.#note(event);
    this.#listener.event(event);
    if (this.#ended.size === this.channels.length) this.#end({ reason: "finished" });
  }

  /** The leader has trouble, or none any more. */
  carrier(change) {
    if (this.attached) this.#show(change, { resumed: true });
  }

  trouble(error) {
    if (this.attached) this.#listener.error(error);
  }

  /** There is no leader for it at the moment: one comes soon, or it helps itself. */
  orphan() {
    if (!this.attached) return;
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => this.detach(), GRACE_MS);
  }

  /** Go on with a stream of its own, from where it stands. */
  detach() {
    if (!this.attached || this.#stopped) return;
    this.#alone(this.channels.map((channel) => this.parts.get(channel)).join(","));
  }

  ended(closed) {
    if (this.attached) this.#end(closed);
  }

  #note({ type, channel, data }) {
    if (TERMINAL.has(type) && channel?.startsWith("job:")) this.#ended.add(channel);
    if (type === "job.state") {
      const name = `job:${data?.job_id}`;
      const over = ["completed", "failed", "cancelled"].includes(data?.status);
      if (this.channels.includes(name)) this.#ended[over ? "add" : "delete"](name);
    }
  }

  /** Changes of stream are nobody's business while events flow on. */
  #show({ state, retryInMs, reason }, info = {}) {
    const previous = this.state;
    if (this.#stopped || state === previous || (state === "connecting" && previous === "open")) return;
    this.state = state;
    this.#listener.state({ state, previous, retryInMs, reason });
    if (state === "open") {
      this.#listener.open({ ...info, resumed: info.resumed ?? true, reconnected: this.#shown });
      this.#shown = true;
    }
  }

  #end(closed) {
    if (this.#stopped) return;
    this.stop();
    this.#listener.end(closed);
  }
}

/** The members of this tab that have node and user in common, and their way to the other tabs. */
class Session {
  static #all = new Map();

  static of(name, subject, silenceMs) {
    if (!Session.#all.has(name)) Session.#all.set(name, new Session(name, subject, silenceMs));
    return Session.#all.get(name);
  }

  tab = Math.random().toString(36).slice(2);
  members = new Set();
  subject;
  #name;
  #channel = null;
  #leader = null;
  #term = 0;
  #tops = new Map();
  #flows = false;
  #failures = 0;
  #election = null;
  #unwatch = null;
  #renewed = 0;
  #heard = 0;
  #silence;
  #gather;

  constructor(name, subject, silenceMs = SILENCE_MS) {
    this.#name = name;
    this.subject = subject;
    this.silenceMs = silenceMs;
  }

  join(member) {
    this.members.add(member);
    if (this.#channel === null) this.#open();
  }

  leave(member) {
    if (!this.members.delete(member)) return;
    this.#leader?.left(member);
    if (this.members.size > 0) this.#wish();
    else this.#close();
  }

  #open() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#unwatch ??= watchTab(() => this.#suspend(), () => this.#revive());
    this.#elect();
  }

  #close() {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#suspend();
    Session.#all.delete(this.#name);
  }

  /** The page is going, perhaps to come back: another tab should lead. */
  #suspend() {
    clearTimeout(this.#silence);
    clearTimeout(this.#gather);
    this.#gather = undefined;
    this.toLeader({ t: "bye" });
    this.#election?.abort();
    this.#election = null;
    this.#channel?.close();
    this.#channel = null;
    this.#term = 0;
    this.#tops.clear();
  }

  #revive() {
    if (this.#channel !== null) return;
    this.#open();
    for (const member of this.members) member.detach();
  }

  // Who leads ---

  /** Lead as soon as nobody else does; with `steal` at once, because the one who leads has gone silent. */
  #elect(steal = false) {
    this.#election?.abort();
    const election = new AbortController();
    this.#election = election;
    let leader = null;
    const lead = () =>
      new Promise((release) => {
        if (election.signal.aborted) return release();
        leader = new Leader(this, (message) => this.#say(message), Math.max(Date.now(), Math.floor(this.#term) + 1) + Math.random());
        this.#leader = leader;
        leader.resign = () => {
          leader.stop();
          if (this.#leader === leader) this.#leader = null;
          release();
        };
        election.signal.addEventListener("abort", leader.resign, { once: true });
        return leader.start();
      });
    navigator.locks
      .request(this.#name, steal ? { steal: true } : { signal: election.signal }, lead)
      .catch(() => {}) // aborted, or stolen by a tab that took this one for dead
      .then(() => {
        leader?.resign();
        if (this.#election !== election) return;
        const delay = (0.5 + Math.random() / 2) * 2000 * 2 ** Math.min(this.#failures, 5);
        this.#failures += 1;
        setTimeout(() => this.#election === election && this.#elect(), delay);
      });
  }

  // Words ---

  /** From the leader of this tab, to its own members and to all other tabs. */
  #say(message) {
    this.#channel?.postMessage(message);
    this.#hear(message);
  }

  toLeader(message) {
    const from = { ...message, tab: this.tab };
    if (this.#leader !== null) this.#leader.hear(from);
    else this.#channel?.postMessage(from);
  }

  #hear(message) {
    if (message?.tab !== undefined) {
      this.#leader?.hear(message);
      return;
    }
    if (typeof message?.term !== "number" || message.term < this.#term) return;
    if (message.term > this.#term) this.#tops.clear();
    this.#term = message.term;
    this.#heard = Date.now();
    this.#watchLeader();
    this.#obey(message);
  }

  #obey({ t, tops, flows, channel, part, parsed, change, closed }) {
    if (t === "who") {
      this.#each((member) => member.orphan());
      this.#wish(true);
    } else if (t === "have") {
      this.#tops = new Map(tops);
      this.#flows = flows;
      if (flows) this.#failures = 0;
      this.#each((member) => member.compare(this.#tops, flows));
      if (Date.now() - this.#renewed > RENEW_MS) this.#wish(true);
    } else if (t === "event") {
      if (channel !== null) this.#tops.set(channel, part);
      this.#each((member) => (member.attached ? member.relay(channel, part, parsed) : member.compare(this.#tops, this.#flows)));
    } else if (t === "state") {
      this.#flows = change.state === "open";
      this.#each((member) => member.carrier(change));
    }
    else if (t === "gone") this.#each((member) => member.orphan());
    else if (t === "end") this.#each((member) => member.ended(closed));
  }

  #each(call) {
    for (const member of [...this.members]) call(member);
  }

  /** A member's own stream has moved. */
  told(member) {
    if (!member.told) return;
    if (member.channels.every((channel) => this.#tops.has(channel))) member.compare(this.#tops, this.#flows);
    else this.#wish();
  }

  /** Tell the leader what this tab needs, and from where on. */
  #wish(now = false) {
    if (!now) {
      this.#gather ??= setTimeout(() => this.#wish(true), GATHER_MS);
      return;
    }
    clearTimeout(this.#gather);
    this.#gather = undefined;
    this.#renewed = Date.now();
    const need = new Map();
    for (const member of this.members) {
      if (!member.told) continue;
      for (const channel of member.channels) lowest(need, channel, member.parts.get(channel));
    }
    this.toLeader({ t: "want", need: [...need] });
  }

  /** A leader that says nothing any more may be a tab that the browser has stopped: take over. */
  #watchLeader() {
    clearTimeout(this.#silence);
    if (this.#leader !== null || this.silenceMs === 0) return;
    this.#silence = setTimeout(() => {
      this.#each((member) => member.detach());
      if (this.members.size > 0) this.#elect(true);
    }, this.silenceMs * (1 + Math.random() / 8));
  }
}

/** Of two positions of a channel the earlier one; of two histories the first that was named (the node will reset it). */
function lowest(parts, channel, part) {
  const [known, found] = [parts.has(channel) ? position(parts.get(channel)) : null, position(part)];
  if (!parts.has(channel)) parts.set(channel, part);
  else if (known && found && found.seq < known.seq && (found.epoch === known.epoch || found.seq === 0)) parts.set(channel, part);
}

/** `gone` before the page is put away, `back` when it is there again. */
function watchTab(gone, back) {
  const page = globalThis.document;
  if (typeof globalThis.addEventListener !== "function") return () => {};
  const shown = (event) => event.persisted && back();
  globalThis.addEventListener("pagehide", gone);
  globalThis.addEventListener("pageshow", shown);
  page?.addEventListener("freeze", gone);
  page?.addEventListener("resume", back);
  return () => {
    globalThis.removeEventListener("pagehide", gone);
    globalThis.removeEventListener("pageshow", shown);
    page?.removeEventListener("freeze", gone);
    page?.removeEventListener("resume", back);
  };
}

/** Carries the channels of all tabs on one stream and repeats what comes. */
class Leader {
  #session;
  #post;
  #term;
  #tabs = new Map();
  #refused = new Set();
  #proven = new Set();
  #tops = new Map();
  #tags = new Tags();
  #carrier = null;
  #owner = null;
  #flows = false;
  #told = "open";
  #reset = null;
  #settled = false;
  #timers = {};
  #stopped = false;

  constructor(session, post, term) {
    this.#session = session;
    this.#term = term;
    this.#post = (message) => post({ ...message, term: this.#term });
  }

  start() {
    this.#timers.beat = setInterval(() => this.#beat(), Math.min(LEADER_BEAT_MS, this.#session.silenceMs / 4 || LEADER_BEAT_MS));
    this.#timers.settle = setTimeout(() => {
      this.#settled = true;
      this.#arrange();
    }, SETTLE_MS);
    this.#post({ t: "who" });
  }

  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timers.beat);
    clearTimeout(this.#timers.settle);
    clearTimeout(this.#timers.gather);
    this.#carrier?.stop();
    this.#carrier = null;
    this.#post({ t: "gone" });
  }

  hear({ t, tab, need }) {
    if (this.#stopped) return;
    if (t === "want") this.#tabs.set(tab, { need: new Map(need), at: Date.now() });
    else if (t === "bye") this.#tabs.delete(tab);
    else if (t === "again") this.#carrier?.reconnect();
    if (t !== "again") this.#soon();
  }

  /** A member of this tab has gone; if the carrier used its credentials, it takes others. */
  left(member) {
    if (this.#owner === member) {
      this.#owner = null;
      this.#soon();
    }
  }

  #soon() {
    if (this.#settled) this.#timers.gather ??= setTimeout(() => this.#arrange(), GATHER_MS);
  }

  #beat() {
    this.#have();
    this.#soon();
  }

  #have() {
    this.#post({ t: "have", tops: [...this.#tops], flows: this.#flows });
  }

  /** What the tabs need, from where on: where the carrier stands for what it has, else the earliest that is needed. */
  #wanted() {
    const wanted = new Map();
    for (const [tab, { need, at }] of this.#tabs) {
      if (Date.now() - at > FORGET_MS && tab !== this.#session.tab) this.#tabs.delete(tab);
      else for (const [channel, part] of need) if (!this.#refused.has(channel)) lowest(wanted, channel, part);
    }
    for (const [channel] of wanted) if (this.#tops.has(channel)) wanted.set(channel, this.#tops.get(channel));
    return new Map([...wanted].slice(0, MAX_CHANNELS));
  }

  /** Open the carrier anew if it does not carry exactly what is needed. */
  #arrange() {
    clearTimeout(this.#timers.gather);
    this.#timers.gather = undefined;
    if (this.#stopped) return;
    const wanted = this.#wanted();
    const same = wanted.size === this.#tops.size && [...wanted.keys()].every((channel) => this.#tops.has(channel));
    if (!same || (wanted.size > 0 && (this.#carrier === null || this.#owner === null))) this.#carry(wanted);
    this.#have();
  }

  #carry(wanted) {
    this.#carrier?.stop();
    this.#carrier = null;
    this.#flows = false;
    this.#reset = null;
    this.#tops = wanted;
    if (wanted.size === 0) return;
    const own = [...this.#session.members];
    const exact = own.filter((member) => member.told && member.channels.length === wanted.size && member.channels.every((name) => wanted.has(name)));
    for (const member of exact) {
      // It goes on as the carrier: whoever stands elsewhere finds that out, and keeps a stream of its own for a while.
      const given = member.give(this.#listener());
      if (given === null) continue;
      this.#owner = member;
      this.#carrier = given;
      this.#tags = member.tags;
      this.#tops = new Map(member.parts);
      for (const channel of wanted.keys()) this.#proven.add(channel);
      this.#flows = true;
      this.#state({ state: "open" });
      return;
    }
    this.#owner = own[0] ?? null;
    if (this.#owner === null) return;
    const { options } = this.#owner;
    const spec = target([...wanted.keys()], { baseUrl: this.#owner.node });
    const credentials = new Credentials(options, spec);
    if (this.#session.subject !== undefined) credentials.expect(this.#session.subject);
    const plain = { ...options, closeWhenHidden: false };
    this.#carrier = new Stream(spec, plain, credentials, this.#listener(), [...wanted.values()].join(","));
  }

  #listener() {
    return {
      event: (event, parsed) => this.#event(event, parsed),
      open: () => {},
      state: (change) => this.#state(change),
      error: (error) => this.#error(error),
      end: (closed) => this.#end(closed),
      beat: () => this.#have(),
    };
  }

  #event(event, { type, data }) {
    if (event.type === "stream.close") return;
    if (event.type === "stream.open") {
      this.#tags.learn(event.data?.channels, event.id);
      this.#reset = null;
      for (const channel of this.#tops.keys()) this.#proven.add(channel);
      this.#flows = true;
      this.#move(event.id);
      this.#have();
      return;
    }
    this.#move(event.id);
    const channel = this.#channelOf(event);
    if (channel === undefined) return;
    this.#post({ t: "event", channel, part: channel === null ? "" : this.#tops.get(channel), parsed: { type, data } });
  }

  #move(id) {
    for (const [channel, part] of this.#tags.split(id)) if (this.#tops.has(channel)) this.#tops.set(channel, part);
  }

  /** Whose event it is; null: everybody's. States say it by what stands before them. */
  #channelOf({ type, channel, data }) {
    if (channel !== undefined) {
      this.#reset = null;
      return channel;
    }
    if (type === "stream.reset") this.#reset = data?.channel;
    else if (type !== "job.state") return null;
    const name = this.#reset ?? [`job:${data?.job_id}`, `user:${data?.owner}`].find((each) => this.#tops.has(each));
    return this.#tops.has(name) ? name : undefined;
  }

  #state({ state, retryInMs, reason }) {
    if (state === this.#told || (state === "connecting" && this.#told === "open") || state === "closed") return;
    this.#told = state;
    this.#flows = state === "open";
    this.#post({ t: "state", change: { state, retryInMs, reason } });
  }

  /** What ends the carrier is between the leader and the node; each member finds out for itself what it means for it. */
  #error(error) {
    if (!error.final) for (const member of this.#session.members) member.trouble(error);
  }

  /** The carrier has ended for good. */
  #end(closed) {
    this.#carrier = null;
    this.#flows = false;
    const code = closed.error?.code;
    if (closed.reason === "finished" || closed.reason === "ended") {
      for (const { need } of this.#tabs.values()) for (const channel of this.#tops.keys()) need.delete(channel);
      this.#tops = new Map();
      this.#have();
    } else if (code === "disconnected") {
      this.#post({ t: "end", closed: { reason: code, error: { message: closed.error.message } } });
    } else if (REFUSED.has(code)) {
      const fresh = [...this.#tops.keys()].filter((channel) => !this.#proven.has(channel));
      for (const channel of fresh.length > 0 ? fresh : this.#tops.keys()) this.#refused.add(channel);
      this.#tops = new Map([...this.#tops].filter(([channel]) => !this.#refused.has(channel)));
      this.#arrange();
    } else {
      this.resign();
      for (const member of [...this.#session.members]) member.detach();
    }
  }
}

// What users hold -----------------------------------------------------------------------------------------------------

const ITERATOR_ROOM = 256;

class Connection {
  #options;
  #source;
  #state = "connecting";
  #handlers = new Map();
  #iterators = new Set();
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
    return [...this.#iterators].some((iterator) => iterator.full);
  }

  #event(event) {
    if (event.type === "stream.reset") {
      this.#call(this.#options.onReset, { channel: event.data?.channel ?? null, reason: event.data?.reason ?? "unknown" });
    }
    this.#call(this.#options.onEvent, event);
    for (const type of [event.type, "*"]) {
      for (const { handler } of [...(this.#handlers.get(type) ?? [])]) this.#call(handler, event);
    }
    for (const iterator of this.#iterators) iterator.push(event);
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
    for (const iterator of this.#iterators) iterator.end(closed);
    this.#call(this.#options.onClose, closed);
    this.#finish(closed);
  }

  /** Waits while an iterator has more than it can hold. */
  async #room(signal) {
    while (!signal.aborted && this.#full) {
      await new Promise((done) => {
        for (const iterator of this.#iterators) iterator.whenRoom = done;
        signal.addEventListener("abort", done, { once: true });
      });
    }
  }

  [Symbol.asyncIterator]() {
    const waiting = [];
    let wanted = [];
    let end = this.#ended;
    const settle = () => {
      while (wanted.length > 0 && (waiting.length > 0 || end !== null)) {
        const { yes, no } = wanted.shift();
        if (waiting.length > 0) yes({ value: waiting.shift(), done: false });
        else if (end.error) no(end.error);
        else yes({ value: undefined, done: true });
      }
      if (waiting.length < ITERATOR_ROOM) iterator.whenRoom?.();
    };
    const iterator = {
      whenRoom: null,
      get full() {
        return waiting.length >= ITERATOR_ROOM;
      },
      push: (event) => {
        waiting.push(event);
        settle();
      },
      end: (closed) => {
        end = closed;
        settle();
      },
    };
    this.#iterators.add(iterator);
    return {
      next: () =>
        new Promise((yes, no) => {
          wanted.push({ yes, no });
          settle();
        }),
      return: async () => {
        this.#iterators.delete(iterator);
        waiting.length = 0;
        end = {};
        settle();
        return { value: undefined, done: true };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

export function connect(asked, options = {}) {
  return new Connection(asked, options);
}

// Jobs ----------------------------------------------------------------------------------------------------------------

const STATUS_OF = { "job.completed": "completed", "job.failed": "failed", "job.cancelled": "cancelled" };
const NO_JOB = {
  kind: "",
  owner: null,
  status: "pending",
  progress: 0,
  stage: null,
  message: null,
  current: null,
  total: null,
  result: null,
  error: null,
  created_at: null,
  started_at: null,
  finished_at: null,
  items: [],
  meta: null,
};

export function applyJobEvent(job, event) {
  const { type, data } = event;
  if (typeof data !== "object" || data === null || typeof data.job_id !== "string") return job;
  if (type === "job.state") return { ...NO_JOB, ...data };
  const before = job?.job_id === data.job_id ? job : { ...NO_JOB, job_id: data.job_id };
  if (type === "job.item") {
    const { job_id, ...item } = data;
    const at = before.items.findIndex(({ item_id }) => item_id === item.item_id);
    const items = at < 0 ? [...before.items, item] : before.items.map((old, i) => (i === at ? item : old));
    return { ...before, items };
  }
  if (type === "job.created" || type === "job.started" || type === "job.progress" || TERMINAL.has(type)) {
    return { ...before, ...data, status: STATUS_OF[type] ?? data.status ?? before.status };
  }
  return job;
}

export function createProgressStream(taskId, options = {}) {
  const { onProgress, onFileUpdate, onComplete, onError, onTaskUpdate, onStateChange, ...rest } = options;
  let task = { status: "active", task_id: String(taskId), sequence: 0, files: [] };
  const call = (handler, argument) => {
    try {
      handler?.(argument);
    } catch (error) {
      report(error);
    }
  };
  const tell = (handler, data, more) => {
    task = { ...task, ...more };
    call(handler, data);
    call(onTaskUpdate, task);
  };
  const end = (handler, data, more) => {
    connection.close(); // the server ends the stream, too; this way nobody asks again
    tell(handler, data, more);
  };
  const connection = connect(`/api/v1/status/tasks/${encodeURIComponent(taskId)}/stream`, {
    ...rest,
    onStateChange,
    events: {
      task_progress: ({ data }) => tell(onProgress, data, data),
      file_update: ({ data }) => {
        const known = task.files.some(({ file_id }) => file_id === data.file_id);
        const files = known ? task.files.map((file) => (file.file_id === data.file_id ? data : file)) : [...task.files, data];
        tell(onFileUpdate, data, { files, sequence: data.sequence });
      },
      task_completed: ({ data }) => end(onComplete, data, { ...data, status: "completed" }),
      task_failed: ({ data }) => end(onError, data, { ...data, status: "failed" }),
    },
    onError: (error) => {
      if (!error.final) return;
      const details = { code: error.code, ...(error.status === undefined ? {} : { status: error.status }) };
      tell(onError, { error: error.message, details, task_id: String(taskId) }, { status: "failed", error: error.message, details });
    },
  });
  return { close: () => connection.close(), readyState: () => connection.readyState() };
}
