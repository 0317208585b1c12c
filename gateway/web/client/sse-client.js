// Follows Server-Sent Events of sse-gateway (and of other servers) over fetch: resume, backoff, liveness, fresh
// credentials, one connection for all tabs. One module without dependencies; its types are in sse-client.d.ts.
//
// Generated from src/; edit there, then: python -m gateway.web.bundle > gateway/web/client/sse-client.js

// errors.js -----------------------------------------------------------------------------------------------------------

// What users are told when something goes wrong, and the errors that a server's answers mean.

export class StreamError extends Error {
  constructor(code, message, { final = false, status, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StreamError";
    this.code = code;
    this.final = final;
    if (status !== undefined) this.status = status;
  }
}

/** The same error with other words, or final or not. */
function altered({ code, message, final, status, cause }, change) {
  const all = { message, final, ...change };
  return new StreamError(code, all.message, { final: all.final, status, cause });
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

function retryAfter(response) {
  const value = response.headers.get("retry-after");
  if (value === null) return null;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** Reports what a user's own function threw, without letting it reach the stream. */
function report(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}

// parser.js -----------------------------------------------------------------------------------------------------------

// The parser of event streams, after the HTML standard: bytes in, events out.

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

// tokens.js -----------------------------------------------------------------------------------------------------------

// What a token (or a ticket, which is one) says about itself, and when the next one is due.

const MARGIN_MS = 30_000; // the next one is asked for so long before the end

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

/** Whether a token ends too soon to buy a ticket with it. */
function expiresSoon(token) {
  const expiry = tokenExpiry(token);
  return expiry !== null && expiry < Date.now() + 2 * MARGIN_MS;
}

/** `found` with the times of its `token`: when it ends and when the next one is due; null where it does not end. */
function lease(found, token, seconds) {
  const expiresAt = typeof seconds === "number" ? seconds * 1000 : tokenExpiry(token);
  const left = lifetime(token, expiresAt);
  if (left === null) return { ...found, expiresAt: null, refreshAt: null };
  // Half a minute before its end; a short-lived one after three quarters of its life, but two seconds before.
  const margin = Math.min(MARGIN_MS, Math.max(left / 4, 2000));
  return { ...found, expiresAt: Date.now() + left, refreshAt: Date.now() + Math.max(0, left - margin) };
}

/** Milliseconds that a fresh token lasts. Where the clock here says that it is over already, its own two times count. */
function lifetime(token, expiresAt) {
  if (expiresAt === null) return null;
  const left = expiresAt - Date.now();
  const { iat } = claims(token);
  if (left <= 0 && typeof iat === "number") return Math.max(0, expiresAt - iat * 1000);
  return Math.max(0, left);
}

// requests.js ---------------------------------------------------------------------------------------------------------

// Requests as the options want them sent.

/** Fetches `url` with the headers and cookies that the options name, and with `token` if there is one. */
function request(url, options, { token = null, headers, ...more }) {
  const all = { ...options.headers, ...headers };
  if (token !== null) all.Authorization = `Bearer ${token}`;
  const credentials = options.credentials ?? (options.withCredentials ? "include" : "same-origin");
  const call = options.fetch ?? globalThis.fetch;
  return call(String(url), { ...more, headers: all, cache: "no-store", credentials });
}

/** How long a request may take, in milliseconds. */
function timeoutMs(options) {
  return options.connectTimeoutMs ?? 30_000;
}

// waiting.js ----------------------------------------------------------------------------------------------------------

// Waiting that can be cut short.

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Waits for `ms` milliseconds, or until `signal` is aborted. Resolves to whether the whole time has passed. */
function slept(ms, signal) {
  return new Promise((done) => {
    const end = (whole) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      done(whole);
    };
    const stop = () => end(false);
    const timer = setTimeout(() => end(true), Math.min(ms, MAX_TIMER_MS));
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
}

/** `promise`, unless `signal` is aborted or `ms` milliseconds pass before, for which `late` makes an error. */
function within(promise, ms, signal, late = () => new Error("It took too long.")) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms);
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

// sources.js ----------------------------------------------------------------------------------------------------------

// Where tokens and tickets come from: what the user has given as one, a text or a function.

function noCredential(name, what, cause) {
  return new StreamError("credential", `There is no ${name} to connect with: ${what}.`, { cause });
}

class Source {
  #name;
  #found;
  #timeoutMs;

  constructor(name, options) {
    this.#name = name;
    this.#found = options[name] ?? null;
    this.#timeoutMs = timeoutMs(options);
  }

  get given() {
    return this.#found !== null;
  }

  /** Whether there is somebody to ask for another one. */
  get renewable() {
    return typeof this.#found === "function";
  }

  async ask(reason, signal) {
    if (!this.renewable) return this.#found;
    try {
      return await within((async () => this.#found({ reason, signal }))(), this.#timeoutMs, signal);
    } catch (error) {
      if (error instanceof StreamError) throw error;
      throw noCredential(this.#name, "it failed", error);
    }
  }
}

class TokenSource extends Source {
  #subject;

  constructor(options) {
    super("token", options);
  }

  /** From now on only tokens of this subject are good. */
  expect(subject) {
    this.#subject = subject;
  }

  /** The token's text, or null. */
  async token(reason, signal) {
    const token = (await this.ask(reason, signal)) ?? null;
    if (token !== null && typeof token !== "string") throw noCredential("token", "it gave something that is no string");
    if (this.#subject !== undefined && (token ? tokenSubject(token) : null) !== this.#subject) {
      throw new StreamError("subject_changed", "The token is another user's now; connect again for that user.", { final: true });
    }
    return token || null;
  }

  async lease(reason, signal) {
    const token = await this.token(reason, signal);
    return token === null ? { expiresAt: null, refreshAt: null } : lease({ token }, token);
  }
}

class TicketSource extends Source {
  constructor(options) {
    super("ticket", options);
  }

  async lease(reason, signal) {
    const found = await this.ask(reason, signal);
    const ticket = typeof found === "string" ? { ticket: found } : found;
    if (typeof ticket?.ticket !== "string") throw noCredential("ticket", "it gave no ticket");
    return lease({ ticket: ticket.ticket }, ticket.ticket, ticket.expires_at);
  }
}

// targets.js ----------------------------------------------------------------------------------------------------------

// Addresses: what `connect` is to follow, and which channels of which node that is.

const MAX_CHANNELS = 32;
const NATIVE = /\/v1\/(events|jobs\/events|jobs\/[^/]+\/events|chats\/[^/]+\/events|clients\/[^/]+\/events)$/;

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
  if (path.startsWith("chats/")) return null;
  const id = decodeURIComponent(path.split("/")[1]);
  return path.startsWith("jobs/") ? [`job:${id}`] : [`client:${id}`, "broadcast"];
}

/** The part of a native URL's path in front of `/v1/`. */
function nodeOf(url) {
  return url.origin + url.pathname.slice(0, url.pathname.lastIndexOf("/v1/"));
}

// tickets.js ----------------------------------------------------------------------------------------------------------

// Tickets that are bought from a node (or from somebody who buys them there) with the user's token.

class TicketOffice {
  given = true;
  renewable = true;
  #address;
  #channels;
  #options;
  #tokens;
  #token = null;

  constructor(options, { url, channels }, tokens) {
    this.#options = options;
    this.#tokens = tokens;
    this.#address = options.ticketUrl === true ? `${nodeOf(url)}/v1/tickets` : resolve(String(options.ticketUrl), options.baseUrl);
    this.#channels = options.ticketChannels ?? channels;
    if (!this.#channels) throw new TypeError("This URL does not tell its channels: give the option ticketChannels.");
  }

  /** A ticket for the channels. A token that is refused is asked for anew once. */
  async lease(reason, signal) {
    const old = this.#token === null || reason === "refused" || expiresSoon(this.#token);
    if (old) this.#token = await this.#tokens.token(this.#token === null && reason !== "refused" ? "start" : reason, signal);
    let response = await this.#post(signal);
    if (response.status === 401 && !old && this.#tokens.renewable) {
      this.#token = await this.#tokens.token("refused", signal);
      response = await this.#post(signal);
    }
    if (!response.ok) throw await refusal(response, "The ticket was refused");
    const body = await response.json().catch(() => null);
    if (typeof body?.ticket !== "string") throw noCredential("ticket", "the answer holds no ticket");
    return lease({ ticket: body.ticket }, body.ticket, body.expires_at);
  }

  async #post(signal) {
    const body = JSON.stringify({ channels: this.#channels });
    const headers = { "Content-Type": "application/json" };
    try {
      const answer = request(this.#address, this.#options, { method: "POST", token: this.#token, headers, body, signal });
      return await within(answer, timeoutMs(this.#options), signal);
    } catch (error) {
      throw noCredential("ticket", "the request failed", error);
    }
  }
}

// credentials.js ------------------------------------------------------------------------------------------------------

// The token or ticket of one stream: asked for when needed, kept while it lasts, replaced before it ends.

class Credentials {
  #tokens;
  #source;
  #held = null;

  constructor(options, spec) {
    this.#tokens = new TokenSource(options);
    const ticket = new TicketSource(options);
    if (options.ticketUrl) this.#source = new TicketOffice(options, spec, this.#tokens);
    else this.#source = ticket.given ? ticket : this.#tokens;
  }

  /** Whether there is somebody to ask for another one. */
  get renewable() {
    return this.#source.renewable;
  }

  get any() {
    return this.#source.given;
  }

  get current() {
    return this.#held;
  }

  /** From now on only tokens of this subject are good. */
  expect(subject) {
    this.#tokens.expect(subject);
  }

  /** `{token, ticket, expiresAt, refreshAt}`; without credentials the times are null. Throws StreamError. */
  async get(reason, signal) {
    const [held, expiresAt] = [this.#held, this.#held?.expiresAt ?? null];
    if (reason === "start" && held !== null && (expiresAt === null || expiresAt > Date.now())) return held;
    const first = held === null && reason !== "refused";
    this.#held = await this.#source.lease(first ? "start" : reason === "start" ? "expiring" : reason, signal);
    return this.#held;
  }

  /**
   * Gets the next one while `held` still serves. Resolves to true as soon as there is one, to false when `signal` is aborted or
   * there is none to be had in time. Calls `tell` with each trouble; throws where the next one is another user's.
   */
  async renewed({ refreshAt, expiresAt }, signal, tell) {
    if (refreshAt === null || !this.renewable) return false;
    let wait = Math.max(0, refreshAt - Date.now());
    while (wait <= MAX_TIMER_MS && (await slept(wait, signal))) {
      let next = null;
      try {
        next = await this.get("expiring", signal);
      } catch (error) {
        if (error.code === "subject_changed") throw error;
        // The old one serves on, so no trouble is final.
        if (!signal.aborted) tell(altered(error, { final: false }));
      }
      if (signal.aborted) return false;
      if (next !== null && (next.expiresAt === null || next.expiresAt > expiresAt)) return true;
      const left = expiresAt - Date.now();
      if (left <= 0) return false;
      wait = Math.min(30_000, Math.max(1000, left / 2)) * (0.5 + Math.random() / 2);
    }
    return false;
  }
}

// queue.js ------------------------------------------------------------------------------------------------------------

// The events that somebody takes with `for await`.

const ROOM = 256;

class EventQueue {
  /** Called as soon as there is room again. */
  whenRoom = null;
  #waiting = [];
  #wanted = [];
  #end;
  #left;

  /** `end` is how the connection has ended already, or null; `left` is called when nobody takes events any more. */
  constructor(end, left) {
    this.#end = end;
    this.#left = left;
  }

  get full() {
    return this.#waiting.length >= ROOM;
  }

  push(event) {
    this.#waiting.push(event);
    this.#settle();
  }

  end(closed) {
    this.#end = closed;
    this.#settle();
  }

  next() {
    return new Promise((yes, no) => {
      this.#wanted.push({ yes, no });
      this.#settle();
    });
  }

  async return() {
    this.#left();
    this.#waiting = [];
    this.end({});
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #settle() {
    while (this.#wanted.length > 0 && (this.#waiting.length > 0 || this.#end !== null)) {
      const { yes, no } = this.#wanted.shift();
      if (this.#waiting.length > 0) yes({ value: this.#waiting.shift(), done: false });
      else if (this.#end.error) no(this.#end.error);
      else yes({ value: undefined, done: true });
    }
    if (!this.full) this.whenRoom?.();
  }
}

// sharing/eligibility.js ----------------------------------------------------------------------------------------------

// Whether a connection can be shared, and with whom.

/** Whom the tabs of a session have in common; null where that cannot be known, and sharing might mix up two users. */
function commonUser(options) {
  if (options.ticket != null || options.ticketUrl) return null;
  if (options.token != null) return "token";
  if (options.subject !== undefined) return `subject ${options.subject}`;
  return options.credentials === "omit" ? "anonymous" : null;
}

function canShare(spec, options) {
  return spec.native && spec.channels !== null && commonUser(options) !== null && globalThis.navigator?.locks !== undefined && globalThis.BroadcastChannel !== undefined;
}

/** `{name, subject}` of the user whose stream is open with `token`. Null: the token does not say whose it is. */
function userOf(token, options) {
  if (!token) return { name: commonUser(options), subject: undefined };
  const subject = tokenSubject(token);
  return subject === null ? null : { name: `user ${subject}`, subject };
}

// events.js -----------------------------------------------------------------------------------------------------------

// One event as users see it.

/** The event that was parsed; a native one is taken out of its envelope. */
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

// backoff.js ----------------------------------------------------------------------------------------------------------

// How long to wait before the next attempt.

const MAX_SERVER_WAIT_MS = 600_000; // what a server may ask for at most; beyond it is a mistake

class Backoff {
  /** What the stream's field `retry` says, in milliseconds. */
  retryMs = null;
  #minMs;
  #maxMs;
  #attempts = 0;

  constructor({ minDelayMs = 1000, maxDelayMs = 30_000 }) {
    this.#minMs = minDelayMs;
    this.#maxMs = maxDelayMs;
  }

  /** An attempt has succeeded. */
  reset() {
    this.#attempts = 0;
  }

  /** Milliseconds to wait after `error`: full jitter up to a doubling limit, and never less than the server asks for. */
  next(error) {
    const jitter = Math.random() * Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#attempts, 20));
    const asked = error.retryAfterMs ?? this.retryMs ?? (error.code === "closed_by_server" ? this.#minMs / 2 : 0);
    this.#attempts += 1;
    return Math.round(Math.max(jitter, Math.min(asked, MAX_SERVER_WAIT_MS)));
  }
}

// endings.js ----------------------------------------------------------------------------------------------------------

// What it means that an attempt has ended.

/** The error of a stream that ended with the server's last words `close` (null: without any). Null: all has been told. */
function ending(close, wasOpen) {
  if (close === null) return because("end", new StreamError("closed_by_server", "The stream has ended."));
  const { reason = "end", reconnect = true, message = "" } = close;
  if (reconnect !== false) {
    const code = wasOpen ? "closed_by_server" : "refused";
    return because(reason, new StreamError(code, `The server asks to come back later (${reason}). ${message}`));
  }
  if (reason === "finished") return null;
  if (reason === "token_expired") {
    return new StreamError("token_expired", "The token has expired; give a function as token that gets a new one.", { final: true });
  }
  return new StreamError(reason, `The server has ended the stream for good (${reason}). ${message}`, { final: true });
}

function because(reason, error) {
  return Object.assign(error, { reason });
}

/** The error to tell of an attempt that was cut short by `cause` (null: by nobody here) or has failed with `error`. */
function trouble(cause, error) {
  if (cause === "silence") return new StreamError("silence", "Nothing has arrived for too long; the connection is taken for dead.");
  if (error instanceof StreamError) return error;
  return new StreamError("network", "The connection failed or was cut; the network or the server is away.", { cause: error });
}

// liveness.js ---------------------------------------------------------------------------------------------------------

// Whether a stream is still alive: something arrives again and again, heartbeats at least.

const SILENCE_MS = 45_000;
const STALE_MS = 20_000; // who comes back to a page does not wait for the full silence

class Liveness {
  #limitMs;
  #dead;
  #lastByte = 0;
  #lastBeat = 0;
  #beatMs = null; // what lies between two heartbeats; until two have come nobody knows
  #excused = false;
  #timer;

  /** Calls `dead` after `silenceMs` milliseconds without a byte (0: never), or earlier where heartbeats come more often. */
  constructor(silenceMs, dead) {
    this.#limitMs = silenceMs ?? SILENCE_MS;
    this.#dead = dead;
  }

  begin() {
    this.#lastByte = Date.now();
    this.#lastBeat = 0;
    this.#excused = false;
    this.#watch();
  }

  stop() {
    clearTimeout(this.#timer);
  }

  arrived() {
    this.#lastByte = Date.now();
  }

  beat() {
    const now = Date.now();
    if (this.#lastBeat > 0) {
      const gap = now - this.#lastBeat;
      this.#beatMs = this.#beatMs === null ? gap : Math.max(gap, this.#beatMs * 0.9);
    }
    this.#lastBeat = now;
    this.#watch(); // it may be known only now how long to wait
  }

  /** Waits for `reader`; waiting for a slow reader is no silence. */
  async excuse(reader) {
    this.#excused = true;
    await reader;
    this.#excused = false;
  }

  /** Whether too little has arrived for somebody who comes back to the page. */
  get stale() {
    return Date.now() - this.#lastByte > (this.#beatMs === null ? STALE_MS : this.#beatMs * 1.5 + 500);
  }

  get #patienceMs() {
    return this.#beatMs === null ? this.#limitMs : Math.min(this.#limitMs, Math.max(500, this.#beatMs * 2.5));
  }

  #watch(grace = 0) {
    clearTimeout(this.#timer);
    if (this.#limitMs === 0) return;
    const left = Math.max(grace, this.#lastByte + this.#patienceMs - Date.now());
    this.#timer = setTimeout(() => {
      if (this.#excused) this.#lastByte = Date.now();
      const late = Date.now() - this.#lastByte - this.#patienceMs;
      if (late < 0) this.#watch();
      // A timer that comes much too late says that the machine slept: what has arrived meanwhile is read first.
      else if (late > 2000 && grace === 0) this.#watch(1000);
      else this.#dead();
    }, left);
  }
}

// opening.js ----------------------------------------------------------------------------------------------------------

// Asking for a stream.

const MAX_CURSOR = 4096; // the node reads no more; a longer id is not sent back

/** A reader of the stream after `cursor`. Null: there is nothing to follow any more. Throws where there is no stream. */
async function opening(url, options, { token, ticket }, cursor, signal) {
  const address = new URL(url);
  if (ticket) address.searchParams.set("ticket", ticket);
  const headers = { Accept: "text/event-stream" };
  if (cursor && cursor.length <= MAX_CURSOR) headers["Last-Event-ID"] = headerValue(cursor);
  const late = () => new StreamError("timeout", "The server did not answer in time.");
  const response = await within(request(address, options, { token, headers, signal }), timeoutMs(options), signal, late);
  if (response.status === 204) return null;
  if (response.status !== 200) throw await refusal(response, "The server refused the stream");
  if (!/^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "")) {
    throw new StreamError("bad_content_type", "The answer is no event stream; check the address, and what stands between.", { final: true });
  }
  return response.body.getReader();
}

/** A header's value is a row of bytes; a cursor with other characters goes as UTF-8. */
function headerValue(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

// page.js -------------------------------------------------------------------------------------------------------------

// What the page goes through: online again, hidden, shown, put away, brought back. Without a page there is nothing to watch.

/**
 * Calls `seen` with `online`, `visible`, `restored` (from the back/forward cache) and `hidden`: at once (`hideAfter` is
 * true), after so many milliseconds, or never (false). Returns how to stop.
 */
function watchPage(hideAfter, seen) {
  const page = globalThis.document;
  if (typeof globalThis.addEventListener !== "function") return () => {};
  let timer;
  const tell = (what) => {
    clearTimeout(timer);
    if (what !== "hidden") seen(what);
    else if (hideAfter !== false) timer = setTimeout(() => seen(what), hideAfter === true ? 0 : hideAfter);
  };
  const visibility = () => tell(page.visibilityState === "hidden" ? "hidden" : "visible");
  if (page?.visibilityState === "hidden") visibility();
  const unlisten = listen([
    [globalThis, "online", () => tell("online")],
    [globalThis, "pageshow", (event) => event.persisted && tell("restored")],
    [page, "visibilitychange", visibility],
  ]);
  return () => {
    clearTimeout(timer);
    unlisten();
  };
}

/** Calls `gone` before the page is put away, `back` when it is there again. Returns how to stop. */
function watchTab(gone, back) {
  const page = globalThis.document;
  if (typeof globalThis.addEventListener !== "function") return () => {};
  return listen([
    [globalThis, "pagehide", gone],
    [globalThis, "pageshow", (event) => event.persisted && back()],
    [page, "freeze", gone],
    [page, "resume", back],
  ]);
}

function listen(entries) {
  for (const [target, type, handler] of entries) target?.addEventListener(type, handler);
  return () => {
    for (const [target, type, handler] of entries) target?.removeEventListener(type, handler);
  };
}

// stream.js -----------------------------------------------------------------------------------------------------------

// One reconnecting stream: attempt after attempt, each from where the last one has come to.

const SOON_MS = 1000; // from the beginning of an attempt to that of the next one, whatever asks for it: never a tight loop

/**
 * `listener` gets `event(event, parsed)`, `open(info)`, `state(change)`, `error(error)`, `beat()` and `end(closed)`; after
 * `stop()` it gets nothing more. While the promise of `room(signal)` is open nothing is read.
 */
class Stream {
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

// jobs.js -------------------------------------------------------------------------------------------------------------

// Jobs as their events tell them.

/** The status of a job by the event that ends it. */
const ENDS = new Map([
  ["job.completed", "completed"],
  ["job.failed", "failed"],
  ["job.cancelled", "cancelled"],
]);

/** The statuses of jobs that have ended. */
const OVER = new Set(ENDS.values());

/** The other events that say what a job now is. */
const STEPS = new Set(["created", "started", "progress", "retrying", "paused", "resumed"].map((step) => `job.${step}`));

/** What a job is before anything is known of it. */
const NO_JOB = {
  kind: "",
  owner: null,
  status: "pending",
  attempt: 1,
  paused: false,
  progress: 0,
  stage: null,
  message: null,
  current: null,
  total: null,
  rate: null,
  eta_s: null,
  result: null,
  error: null,
  created_at: null,
  started_at: null,
  finished_at: null,
  items: [],
  meta: null,
};

/** Whether an event adds a piece to an answer; there may be many at once. */
const isGrowth = ({ type }) => type === "job.text" || type === "job.part";

/** An answer with one more piece: of a text, which goes on until another part comes, or a whole part. */
function grown(job, piece) {
  const { text = "", parts = [] } = job;
  const last = parts.at(-1);
  const joins = (piece.type === "text" || piece.type === "reasoning") && last?.type === piece.type;
  return {
    ...job,
    text: piece.type === "text" ? text + piece.text : text,
    parts: joins ? [...parts.slice(0, -1), { ...last, text: last.text + piece.text }] : [...parts, piece],
  };
}

export function applyJobEvent(job, event) {
  const { type, data } = event;
  if (typeof data !== "object" || data === null || typeof data.job_id !== "string") return job;
  if (type === "job.state") return { ...NO_JOB, ...data };
  const before = job?.job_id === data.job_id ? job : { ...NO_JOB, job_id: data.job_id };
  if (type === "job.text") return grown(before, { type: "text", text: data.text });
  if (type === "job.part") return grown(before, data.part);
  if (type === "job.item") {
    const { job_id, ...item } = data;
    const at = before.items.findIndex(({ item_id }) => item_id === item.item_id);
    const items = at < 0 ? [...before.items, item] : before.items.map((old, i) => (i === at ? item : old));
    return { ...before, items };
  }
  if (STEPS.has(type) || ENDS.has(type)) {
    return { ...before, ...data, status: ENDS.get(type) ?? data.status ?? before.status };
  }
  return job;
}

// sharing/finished.js -------------------------------------------------------------------------------------------------

// Which of a member's channels have come to an end: those of jobs that are over. With the last one its stream ends.

class Finished {
  #channels = new Set();

  note({ type, channel, data }, channels) {
    if (ENDS.has(type) && channel?.startsWith("job:")) this.#channels.add(channel);
    if (type !== "job.state") return;
    const name = `job:${data?.job_id}`;
    if (channels.includes(name)) this.#channels[OVER.has(data?.status) ? "add" : "delete"](name);
  }

  are(channels) {
    return this.#channels.size === channels.length;
  }
}

// sharing/election.js -------------------------------------------------------------------------------------------------

// Which tab leads: the one that holds a Web Lock. The browser gives it to the next tab when that one is gone.

class Election {
  #name;
  #nominate;
  #candidacy = null;
  #failures = 0;

  /** `nominate(release)` makes a leader with `start()` and `resign()`, which calls `release`. */
  constructor(name, nominate) {
    this.#name = name;
    this.#nominate = nominate;
  }

  /** Lead as soon as nobody else does; with `steal` at once, because the one who leads has gone silent. */
  stand(steal = false) {
    this.withdraw();
    const candidacy = new AbortController();
    const { signal } = candidacy;
    this.#candidacy = candidacy;
    let leader = null;
    const lead = () =>
      new Promise((release) => {
        if (signal.aborted) return release();
        leader = this.#nominate(release);
        signal.addEventListener("abort", () => leader.resign(), { once: true });
        return leader.start();
      });
    navigator.locks
      .request(this.#name, steal ? { steal: true } : { signal }, lead)
      .catch(() => {}) // aborted, or stolen by a tab that took this one for dead
      .then(() => {
        leader?.resign();
        if (this.#candidacy !== candidacy) return;
        const delay = (0.5 + Math.random() / 2) * 2000 * 2 ** Math.min(this.#failures, 5);
        this.#failures += 1;
        setTimeout(() => this.#candidacy === candidacy && this.stand(), delay);
      });
  }

  withdraw() {
    this.#candidacy?.abort();
    this.#candidacy = null;
  }

  /** A leader serves the tabs. */
  succeeded() {
    this.#failures = 0;
  }
}

// sharing/positions.js ------------------------------------------------------------------------------------------------

// Positions in channels, as the parts of a node's cursors tell them: `TAG.EPOCH.SEQ.MARK`, `TAG.0` before the first event.

/** Where a part stands; null while it is no position. */
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

/** Of two positions of a channel keeps the earlier one; of two histories the first that was named (the node will reset it). */
function lowest(parts, channel, part) {
  const [known, found] = [parts.has(channel) ? position(parts.get(channel)) : null, position(part)];
  if (!parts.has(channel)) parts.set(channel, part);
  else if (known && found && found.seq < known.seq && (found.epoch === known.epoch || found.seq === 0)) parts.set(channel, part);
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

// sharing/needs.js ----------------------------------------------------------------------------------------------------

// What the tabs need of their leader: channels, and from where on.

const GATHER_MS = 50; // wishes that come together are served together
const FORGET_MS = 150_000; // a tab that has said nothing for so long is gone

class Needs {
  #own;
  #tabs = new Map();
  #refused = new Set();

  /** `own` is the tab that never goes. */
  constructor(own) {
    this.#own = own;
  }

  set(tab, need) {
    this.#tabs.set(tab, { need: new Map(need), at: Date.now() });
  }

  drop(tab) {
    this.#tabs.delete(tab);
  }

  /** The node does not let these channels be read. */
  refuse(channels) {
    for (const channel of channels) this.#refused.add(channel);
  }

  /** These channels have come to an end. */
  finish(channels) {
    for (const { need } of this.#tabs.values()) for (const channel of channels) need.delete(channel);
  }

  /** As many channels as a stream may have: each at its place in `tops` where it has one, else where it is needed first. */
  wanted(tops) {
    const wanted = new Map();
    for (const [tab, { need, at }] of this.#tabs) {
      if (Date.now() - at > FORGET_MS && tab !== this.#own) this.#tabs.delete(tab);
      else for (const [channel, part] of need) if (!this.#refused.has(channel)) lowest(wanted, channel, part);
    }
    for (const channel of wanted.keys()) if (tops.has(channel)) wanted.set(channel, tops.get(channel));
    return new Map([...wanted].slice(0, MAX_CHANNELS));
  }
}

// sharing/leader.js ---------------------------------------------------------------------------------------------------

// Carries the channels of all tabs on one stream, the carrier, and repeats what comes.

const SETTLE_MS = 200; // how long it waits for the positions of the tabs
const BEAT_MS = 10_000;
const REFUSED = new Set(["not_found", "forbidden", "bad_request"]);

class Leader {
  #session;
  #post;
  #over;
  #needs;
  #carrier = null;
  #owner = null; // the member whose credentials the carrier uses
  #tops = new Map(); // where the carrier stands, by channel
  #tags = new Tags();
  #proven = new Set(); // channels that a carrier has been let read
  #flows = false;
  #told = "open";
  #reset = null; // the channel of a `stream.reset`, until an event says whose it is itself
  #settled = false;
  #timers = {};
  #stopped = false;

  /** `post` says something to all tabs; `over` is called once, when it does not lead any more. */
  constructor(session, term, post, over) {
    this.#session = session;
    this.#post = (message) => post({ ...message, term });
    this.#over = over;
    this.#needs = new Needs(session.tab);
  }

  start() {
    this.#timers.beat = setInterval(() => this.#beat(), Math.min(BEAT_MS, this.#session.silenceMs / 4 || BEAT_MS));
    this.#timers.settle = setTimeout(() => {
      this.#settled = true;
      this.#arrange();
    }, SETTLE_MS);
    this.#post({ t: "who" });
  }

  resign() {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timers.beat);
    clearTimeout(this.#timers.settle);
    clearTimeout(this.#timers.gather);
    this.#carrier?.stop();
    this.#carrier = null;
    this.#post({ t: "gone" });
    this.#over();
  }

  hear({ t, tab, need }) {
    if (this.#stopped) return;
    if (t === "want") this.#needs.set(tab, need);
    else if (t === "bye") this.#needs.drop(tab);
    else if (t === "again") this.#carrier?.reconnect();
    if (t !== "again") this.#soon();
  }

  /** A member of this tab has gone; if the carrier used its credentials, it takes others. */
  left(member) {
    if (this.#owner !== member) return;
    this.#owner = null;
    this.#soon();
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

  /** Open the carrier anew if it does not carry exactly what is needed. */
  #arrange() {
    clearTimeout(this.#timers.gather);
    this.#timers.gather = undefined;
    if (this.#stopped) return;
    const wanted = this.#needs.wanted(this.#tops);
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
    if (wanted.size > 0 && !this.#takeOver([...wanted.keys()])) this.#open(wanted);
  }

  /**
   * A member's own stream of exactly these channels goes on as the carrier: whoever stands elsewhere finds that out, and
   * keeps a stream of its own for a while.
   */
  #takeOver(channels) {
    for (const member of this.#session.members) {
      const { standing } = member;
      const exact = standing.told && standing.channels.length === channels.length && channels.every((name) => standing.channels.includes(name));
      const given = exact ? member.give(this.#listener()) : null;
      if (given === null) continue;
      this.#owner = member;
      this.#carrier = given;
      this.#tags = standing.tags;
      this.#tops = new Map(standing.parts);
      this.#opened();
      this.#state({ state: "open" });
      return true;
    }
    return false;
  }

  #open(wanted) {
    const [owner = null] = this.#session.members;
    this.#owner = owner;
    if (owner === null) return;
    const spec = target([...wanted.keys()], { baseUrl: owner.node });
    const credentials = new Credentials(owner.options, spec);
    if (this.#session.subject !== undefined) credentials.expect(this.#session.subject);
    const options = { ...owner.options, closeWhenHidden: false };
    this.#carrier = new Stream(spec, options, credentials, this.#listener(), [...wanted.values()].join(","));
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

  #opened() {
    for (const channel of this.#tops.keys()) this.#proven.add(channel);
    this.#flows = true;
  }

  #event(event, { type, data }) {
    if (event.type === "stream.close") return;
    if (event.type === "stream.open") {
      this.#tags.learn(event.data?.channels, event.id);
      this.#reset = null;
      this.#opened();
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
      this.#needs.finish([...this.#tops.keys()]);
      this.#tops = new Map();
      this.#have();
    } else if (code === "disconnected") {
      this.#post({ t: "end", closed: { reason: code, error: { message: closed.error.message } } });
    } else if (REFUSED.has(code)) {
      const fresh = [...this.#tops.keys()].filter((channel) => !this.#proven.has(channel));
      const refused = fresh.length > 0 ? fresh : [...this.#tops.keys()];
      this.#needs.refuse(refused);
      for (const channel of refused) this.#tops.delete(channel);
      this.#arrange();
    } else {
      this.resign();
      for (const member of [...this.#session.members]) member.detach();
    }
  }
}

// sharing/session.js --------------------------------------------------------------------------------------------------

// The members of one tab that have node and user in common, and their way to the other tabs: a BroadcastChannel.
//
// Tabs say to the leader, each with its `tab`: `want` (`need`: the channels and from where on), `again` (connect anew),
// `bye`. The leader says to all tabs, each with its `term`: `who` (a new one asks what is wanted), `have` (`tops`: where it
// stands; `flows`: whether its stream is open), `event` (`channel`, or null for all; `part`; `parsed`), `state` (`change`),
// `end` (`closed`), `gone`. Of two leaders the later term counts.

const RENEW_MS = 20_000; // how often a tab repeats what it needs

class Session {
  static #all = new Map();

  static of(name, subject, silenceMs) {
    if (!Session.#all.has(name)) Session.#all.set(name, new Session(name, subject, silenceMs ?? SILENCE_MS));
    return Session.#all.get(name);
  }

  tab = Math.random().toString(36).slice(2);
  members = new Set();
  subject;
  silenceMs;
  #name;
  #channel = null;
  #election;
  #leader = null; // of this tab, if it leads
  #term = 0; // of the leader that was heard last; what it says of itself:
  #tops = new Map();
  #flows = false;
  #unwatch = null;
  #renewed = 0;
  #silence;
  #gather;

  constructor(name, subject, silenceMs) {
    this.#name = name;
    this.subject = subject;
    this.silenceMs = silenceMs;
    this.#election = new Election(name, (release) => this.#nominate(release));
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
    this.#election.stand();
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
    this.#election.withdraw();
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

  #nominate(release) {
    const term = Math.max(Date.now(), Math.floor(this.#term) + 1) + Math.random();
    const leader = new Leader(this, term, (message) => this.#say(message), () => {
      if (this.#leader === leader) this.#leader = null;
      release();
    });
    this.#leader = leader;
    return leader;
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
      if (flows) this.#election.succeeded();
      this.#each((member) => member.compare(this.#tops, flows));
      if (Date.now() - this.#renewed > RENEW_MS) this.#wish(true);
    } else if (t === "event") {
      if (channel !== null) this.#tops.set(channel, part);
      this.#each((member) => (member.attached ? member.relay(channel, part, parsed) : member.compare(this.#tops, this.#flows)));
    } else if (t === "state") {
      this.#flows = change.state === "open";
      this.#each((member) => member.carrier(change));
    } else if (t === "gone") this.#each((member) => member.orphan());
    else if (t === "end") this.#each((member) => member.ended(closed));
  }

  #each(call) {
    for (const member of [...this.members]) call(member);
  }

  /** A member's own stream has moved. */
  told(member) {
    if (!member.standing.told) return;
    if (member.standing.isCarried(this.#tops)) member.compare(this.#tops, this.#flows);
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
    for (const { standing } of this.members) {
      if (!standing.told) continue;
      for (const channel of standing.channels) lowest(need, channel, standing.parts.get(channel));
    }
    this.toLeader({ t: "want", need: [...need] });
  }

  /** A leader that says nothing any more may be a tab that the browser has stopped: take over. */
  #watchLeader() {
    clearTimeout(this.#silence);
    if (this.#leader !== null || this.silenceMs === 0) return;
    this.#silence = setTimeout(() => {
      this.#each((member) => member.detach());
      if (this.members.size > 0) this.#election.stand(true);
    }, this.silenceMs * (1 + Math.random() / 8));
  }
}

// sharing/standing.js -------------------------------------------------------------------------------------------------

// Where a member stands in each of its channels, and how that compares with where the leader stands (`tops`).

class Standing {
  channels = [];
  parts = new Map();
  tags = new Tags();

  /** A stream of these channels is open; its cursor is `id`. */
  opened(channels, id) {
    this.channels = channels ?? [];
    this.tags.learn(channels, id);
  }

  move(id) {
    for (const [channel, part] of this.tags.split(id)) this.parts.set(channel, part);
  }

  get cursor() {
    return this.channels.map((channel) => this.parts.get(channel)).join(",");
  }

  /** Whether all its channels stand somewhere, so that another stream can go on from there. */
  get told() {
    return this.channels.length > 0 && this.channels.every((channel) => this.parts.has(channel) && position(this.parts.get(channel)) !== null);
  }

  isCarried(tops) {
    return this.channels.every((channel) => tops.has(channel));
  }

  /** Whether nothing is lacking up to `tops`, of all channels. */
  isWhole(tops) {
    return this.isCarried(tops) && this.channels.every((channel) => this.#covers(channel, tops));
  }

  /** Whether something is lacking for sure. */
  isBehind(tops) {
    return this.isCarried(tops) && this.channels.some((channel) => position(tops.get(channel)) !== null && !this.#covers(channel, tops));
  }

  #covers(channel, tops) {
    return this.parts.has(channel) && covers(this.parts.get(channel), tops.get(channel));
  }

  /** What an event of `channel` is here: the `next` one, an `old` one, or one after a `hole`. */
  place(channel, { epoch, seq }) {
    const here = seq === undefined ? null : position(this.parts.get(channel));
    if (here === null) return "next";
    const known = here.seq === 0 || here.epoch === epoch;
    if (known && seq <= here.seq) return "old";
    return known && seq === here.seq + 1 ? "next" : "hole";
  }
}

// sharing/member.js ---------------------------------------------------------------------------------------------------

// One `connect` with `shared`: with a stream of its own until the leader's carries it. To its Connection it is a Stream.
//
// A member always begins with a stream of its own, which shows that its channels may be read and brings their newest
// state. Then it asks the tabs' leader to carry its channels. The leader has one stream for the channels of all tabs (the
// carrier) and repeats its events on a BroadcastChannel, with the position of each; as soon as a member has everything up
// to the leader's position, it is attached and lets its own stream go. From then on it takes an event only if that is the
// next one: what it has already is dropped, and a hole makes it go back to a stream of its own, from its own cursor, until
// it has caught up. So neither a late tab nor the death of a leader loses or repeats an event, and nothing has to be
// buffered. Tokens never leave their tab: the carrier uses one of the leading tab.

const GRACE_MS = 2000; // how long it waits for a new leader before it helps itself

class Member {
  state = "connecting";
  standing = new Standing();
  options;
  #spec;
  #credentials;
  #listener;
  #stream = null; // its own; null while it is attached
  #session = null;
  #finished = new Finished();
  #grace;
  #news = false; // the stream that has opened is what the user waits for
  #shown = false;

  constructor(spec, options, credentials, listener, lastEventId) {
    this.#spec = spec;
    this.options = options;
    this.#credentials = credentials;
    this.#listener = listener;
    this.#alone(lastEventId);
  }

  get #stopped() {
    return this.state === "closed";
  }

  get attached() {
    return this.#stream === null && !this.#stopped;
  }

  /** The node's address, without a path of its API. */
  get node() {
    return nodeOf(this.#spec.url);
  }

  get lastEventId() {
    return this.#stream?.lastEventId ?? this.standing.cursor;
  }

  reconnect() {
    if (this.#stream !== null) this.#stream.reconnect();
    else this.#session?.toLeader({ t: "again" });
  }

  stop() {
    if (this.#stopped) return;
    this.state = "closed";
    clearTimeout(this.#grace);
    this.#stream?.stop();
    this.#session?.leave(this);
  }

  /** Its own stream, for the leader to go on with as the carrier; null where that cannot be. */
  give(listener) {
    const stream = this.#stream;
    if (stream === null || stream.state !== "open" || (this.options.closeWhenHidden ?? false) !== false) return null;
    this.#stream = null;
    stream.listener = listener;
    return stream;
  }

  // With a stream of its own ---

  #alone(cursor) {
    clearTimeout(this.#grace);
    const listener = {
      event: (event) => this.#own(event),
      open: (info) => {
        this.#news = this.state !== "open";
        this.#show({ state: "open" }, info);
      },
      state: (change) => change.state !== "open" && this.#show(change),
      error: (error) => this.#listener.error(error),
      end: (closed) => this.#end(closed),
      room: (signal) => this.#listener.room?.(signal),
    };
    this.#stream = new Stream(this.#spec, this.options, this.#credentials, listener, cursor);
  }

  #own(event) {
    if (event.type === "stream.open") {
      this.standing.opened(event.data?.channels, event.id);
      this.#join();
    }
    this.standing.move(event.id);
    this.#finished.note(event, this.standing.channels);
    // Another stream in the middle of the story is nobody's business.
    if (event.type !== "stream.open" || this.#news) this.#listener.event(event);
    if (!this.#stopped && this.#stream !== null) this.#session?.told(this);
  }

  #join() {
    if (this.#session !== null) return;
    const user = userOf(this.#credentials.current?.token, this.options);
    if (user === null) return;
    if (user.subject !== undefined) this.#credentials.expect(user.subject);
    this.#session = Session.of(`sse-gateway/1 ${this.node} ${user.name}`, user.subject, this.options.silenceMs);
    this.#session.join(this);
  }

  // With the leader's words ---

  /** The leader stands at `tops`. Lets the own stream go if that leaves no hole. */
  compare(tops, flows) {
    const { standing } = this;
    if (this.#stopped || standing.channels.length === 0) return;
    if (this.attached) {
      if (standing.isBehind(tops)) this.detach();
      else if (standing.isCarried(tops)) clearTimeout(this.#grace);
      else this.orphan();
    } else if (flows && standing.isWhole(tops) && !this.#listener.full?.()) {
      clearTimeout(this.#grace);
      this.#stream.stop();
      this.#stream = null;
      this.#show({ state: "open" }, { resumed: true });
    }
  }

  /** The leader repeats an event of `channel` (null: of all), after which the channel stands at `part`. */
  relay(channel, part, parsed) {
    const { standing } = this;
    if (!this.attached || (channel !== null && !standing.channels.includes(channel))) return;
    const event = unwrapped({ ...parsed, lastEventId: "" }, true);
    const place = this.#listener.full?.() ? "hole" : standing.place(channel, event);
    if (place === "hole") this.detach();
    if (place !== "next") return;
    if (channel !== null) standing.parts.set(channel, part);
    event.id = this.lastEventId;
    this.#finished.note(event, standing.channels);
    this.#listener.event(event);
    if (this.#finished.are(standing.channels)) this.#end({ reason: "finished" });
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
    if (this.attached) this.#alone(this.standing.cursor);
  }

  ended(closed) {
    if (this.attached) this.#end(closed);
  }

  /** Changes of stream are nobody's business while events flow on. */
  #show({ state, retryInMs, reason }, info = {}) {
    const previous = this.state;
    if (this.#stopped || state === previous || (state === "connecting" && previous === "open")) return;
    this.state = state;
    this.#listener.state({ state, previous, retryInMs, reason });
    if (state !== "open" || this.#stopped) return;
    this.#listener.open({ ...info, resumed: info.resumed ?? true, reconnected: this.#shown });
    this.#shown = true;
  }

  #end(closed) {
    if (this.#stopped) return;
    this.stop();
    this.#listener.end(closed);
  }
}

// connection.js -------------------------------------------------------------------------------------------------------

// What users hold: their handlers and iterators on one source of events, a stream of its own or a share of one.

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

// answers.js ----------------------------------------------------------------------------------------------------------

// Answers: jobs whose text and parts arrive in pieces.

/** The state that a stream begins with has the whole answer, twice: as text, and in its parts. */
const MAX_EVENT_SIZE = 16 * 1024 * 1024;

export function answerUrl(answer) {
  if (typeof answer === "string") return `/v1/jobs/${encodeURIComponent(answer)}/events`;
  return `/v1/chats/${encodeURIComponent(answer.chat)}/events`;
}

export function followAnswer(answer, { onAnswer, onEvent, ...options } = {}) {
  let view = null;
  let due = null;
  const show = () => {
    due = null;
    onAnswer?.(view);
  };
  return connect(answerUrl(answer), {
    maxEventSize: MAX_EVENT_SIZE,
    ...options,
    onEvent: (event) => {
      const before = view;
      view = applyJobEvent(view, event);
      onEvent?.(event);
      if (view === before) return;
      if (!isGrowth(event)) {
        clearTimeout(due);
        show();
      } else due ??= setTimeout(show);
    },
  });
}

// progress-stream.js --------------------------------------------------------------------------------------------------

// The client of the dialect `tasks`, with the interface that its front ends know.

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
