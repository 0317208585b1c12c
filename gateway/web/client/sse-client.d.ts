// The public interface of sse-client.js. docs/reference/browser-client.md is made from this file.

// Jobs and events -----------------------------------------------------------------------------------------------------

export type JobStatus = "pending" | "active" | "completed" | "failed" | "cancelled";

/** One of a job's files. */
export interface JobItem {
  item_id: string;
  filename: string | null;
  status: string | null;
  progress: number | null;
  message: string | null;
}

export interface JobError {
  message: string;
  code?: string | null;
  details?: unknown;
}

/** A job as `job.state` and `GET /v1/jobs/{id}` show it. Times are milliseconds since the Unix epoch. */
export interface Job<Result = unknown> {
  job_id: string;
  kind: string;
  owner: string | null;
  status: JobStatus;
  /** Which try this is, from 1. */
  attempt: number;
  /** Whether its worker has been asked to wait. */
  paused: boolean;
  progress: number;
  stage: string | null;
  message: string | null;
  current: number | null;
  total: number | null;
  /** Items per second, and the seconds that remain, as far as they can be told. */
  rate: number | null;
  eta_s: number | null;
  result: Result | null;
  error: JobError | null;
  created_at: number | null;
  started_at: number | null;
  finished_at: number | null;
  items: JobItem[];
  meta: Record<string, unknown> | null;
}

/** A part of an answer: text or reasoning with their pieces joined, or a chunk of the UI message stream as it was written. */
export type AnswerPart =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  | { type: string; [field: string]: unknown };

/** A job that is an answer in a `chat`: `text` is all text of its `parts`. */
export interface Answer<Result = unknown> extends Job<Result> {
  chat: string;
  text: string;
  parts: AnswerPart[];
}

/** What a step of a job says: everything as it now is. */
export type JobStep<Result = unknown> = Partial<Job<Result>> & { job_id: string };

/** The events that a node itself sends; extend it with your own types: `interface Mine extends EventMap { tick: Tick }`. */
export interface EventMap {
  "job.state": Job;
  "job.created": JobStep;
  "job.started": JobStep;
  "job.progress": JobStep;
  "job.retrying": JobStep;
  "job.paused": JobStep;
  "job.resumed": JobStep;
  "job.item": JobItem & { job_id: string };
  "job.text": { job_id: string; text: string; offset: number };
  "job.part": { job_id: string; part: AnswerPart; index: number };
  "job.log": { job_id: string; text: string; level: "debug" | "info" | "warning" | "error" };
  "job.completed": JobStep;
  "job.failed": JobStep;
  "job.cancelled": JobStep;
  "stream.open": { connection: string; channels: string[]; resumed: boolean };
  "stream.reset": { channel: string; reason: string };
  "stream.degraded": Record<string, never>;
  "stream.recovered": Record<string, never>;
  "stream.close": { reason: string; reconnect: boolean; message?: string };
}

/** One event. On native routes `channel`, `seq`, `epoch` and `time` are there for everything that was published. */
export interface StreamEvent<Type extends string = string, Data = any> {
  type: Type;
  /** The data parsed as JSON; the text itself where it is not JSON. */
  data: Data;
  /** The data as it stood in the stream. */
  raw: string;
  /** The cursor after this event; empty where the stream has none. */
  id: string;
  channel?: string;
  seq?: number;
  epoch?: string;
  time?: number;
  /** The W3C trace context that the event was published with, where it has one. */
  traceparent?: string;
}

/** The events of a map as a union that `switch (event.type)` narrows. */
export type EventOf<M> = { [Type in keyof M & string]: StreamEvent<Type, M[Type]> }[keyof M & string];

// Connecting ----------------------------------------------------------------------------------------------------------

/**
 * `connecting`: the request is on its way. `open`: events flow. `waiting`: between two attempts. `paused`: closed while
 * the page is hidden. `closed`: for good.
 */
export type ConnectionState = "connecting" | "open" | "waiting" | "paused" | "closed";

/** Why a credential is asked for: the first one, the last one is about to expire, or the server has refused it. */
export type CredentialReason = "start" | "expiring" | "refused";

export interface CredentialRequest {
  reason: CredentialReason;
  signal: AbortSignal;
}

export interface Ticket {
  ticket: string;
  /** Seconds since the Unix epoch. */
  expires_at: number;
  channels?: string[];
}

export type TokenSource =
  | string
  | null
  | ((request: CredentialRequest) => string | null | undefined | Promise<string | null | undefined>);

export type TicketSource = string | ((request: CredentialRequest) => string | Ticket | Promise<string | Ticket>);

export interface StateChange {
  state: ConnectionState;
  previous: ConnectionState;
  /** Milliseconds until the next attempt, where `state` is `waiting`. */
  retryInMs?: number;
  reason?: string;
}

export interface Reset {
  channel: string | null;
  reason: string;
}

/** How a connection ended. `reason` is the server's (`finished`, `disconnected`, …), `ended` (204), `closed` (by you), or an error's code. */
export interface Closed {
  reason: string;
  error?: StreamError;
}

export interface ConnectOptions<M extends object = EventMap> {
  /** A token, or a function that fetches one; sent as `Authorization: Bearer`. A function is asked again before the token expires. */
  token?: TokenSource;
  /** A ticket, or a function that fetches one; sent as `?ticket=`. */
  ticket?: TicketSource;
  /** Get tickets by `POST {channels}` with the token: `true` for `/v1/tickets` of the same node, or its address. */
  ticketUrl?: string | URL | true;
  /** The channels of those tickets; they are read from the stream's URL where it names them. */
  ticketChannels?: readonly string[];

  /** Every event but heartbeats. */
  onEvent?: (event: EventOf<M>) => void;
  /** Handlers by type. */
  events?: { [Type in keyof M & string]?: (event: StreamEvent<Type, M[Type]>) => void };
  /** The stream is open (again); `resumed` is false where it began afresh. */
  onOpen?: (info: { resumed: boolean; reconnected: boolean; connection?: string; channels?: string[] }) => void;
  /** Events were missed that cannot be replayed: forget what you have; the newest state follows. */
  onReset?: (reset: Reset) => void;
  onStateChange?: (change: StateChange) => void;
  /** Temporary trouble (`error.final` is false) and what ended the connection (true); also exceptions of your own handlers (code `handler`). */
  onError?: (error: StreamError) => void;
  onClose?: (closed: Closed) => void;

  /** Ends the connection when it is aborted. */
  signal?: AbortSignal;
  /** Go on after this cursor, as of an earlier visit. */
  lastEventId?: string;
  /** What relative URLs and lists of channels refer to; by default the page's address. */
  baseUrl?: string | URL;
  /** Share one connection among all tabs of this origin and user, where the browser can (Web Locks and BroadcastChannel). Native routes only. */
  shared?: boolean;
  /** Who the user is, for `shared` without a readable token (cookies). */
  subject?: string;
  /** Disconnect this many milliseconds after the page was hidden, and reconnect when it is shown; `true` is 0. Off by default, and without effect on a connection that tabs share. */
  closeWhenHidden?: boolean | number;

  headers?: Record<string, string>;
  credentials?: RequestCredentials;
  /** The same as `credentials: "include"`. */
  withCredentials?: boolean;
  fetch?: typeof globalThis.fetch;

  /** Upper limit of the backoff, 30 000 by default. */
  maxDelayMs?: number;
  /** The first backoff is up to this, 1 000 by default; each one after it up to twice the last. */
  minDelayMs?: number;
  /** How long an answer may take to begin, 30 000 by default. */
  connectTimeoutMs?: number;
  /** Silence after which a connection counts as dead while no heartbeat has been seen, 45 000 by default; afterwards it is 2.5 heartbeats. 0 switches it off. */
  silenceMs?: number;
  /** Characters that one event may have, 1 048 576 by default. */
  maxEventSize?: number;
  /** Whether the URL is a native route of a node (`/v1/…`), which is asked for envelopes and heartbeat events; by default its path tells. */
  native?: boolean;
}

/** A connection. Also an async iterator: `for await (const event of connection)` holds the stream back while you work. */
export interface Connection<M extends object = EventMap> extends AsyncIterable<EventOf<M>> {
  readonly state: ConnectionState;
  /** 0 connecting, 1 open, 2 closed, as an EventSource has it. */
  readyState(): 0 | 1 | 2;
  /** The cursor: pass it to `connect` as `lastEventId` to go on later. */
  readonly lastEventId: string;
  /** Whether it is served by the connection that this browser's tabs share. */
  readonly shared: boolean;
  /** How it ended; never rejects. */
  readonly closed: Promise<Closed>;
  /** Call `handler` for each event of a type (`"*"`: of any). Returns a function that ends this. */
  on<Type extends keyof M & string>(type: Type, handler: (event: StreamEvent<Type, M[Type]>) => void): () => void;
  on(type: "*", handler: (event: EventOf<M>) => void): () => void;
  /** Connect anew at once, without loss. */
  reconnect(): void;
  /** For good; may be called twice. */
  close(): void;
}

/** Follow a stream: its URL, or a list of 1 to 32 channels. Returns at once; trouble is reported, not thrown, except for options that make no sense. */
export function connect<M extends object = EventMap>(
  target: string | URL | readonly string[],
  options?: ConnectOptions<M>,
): Connection<M>;

/** Why a connection is in trouble. `message` is a sentence that names the remedy; it never holds a token. */
export class StreamError extends Error {
  readonly code: string;
  /** Whether it ended the connection. */
  readonly final: boolean;
  /** The HTTP status, where there was one. */
  readonly status?: number;
}

// Jobs ----------------------------------------------------------------------------------------------------------------

/** The job after an event; `job` itself where the event changes nothing. Pure. */
export function applyJobEvent<Result = unknown>(job: Job<Result> | null, event: StreamEvent): Job<Result> | null;

/** An answer by its job's id, or the one that is being written in a chat of the caller's. */
export type AnswerName = string | { chat: string };

/** The path of an answer's events. */
export function answerUrl(answer: AnswerName): string;

export interface FollowAnswerOptions<Result = unknown> extends ConnectOptions {
  /** The answer as it now is: for what many pieces brought at once it is called once. */
  onAnswer?: (answer: Answer<Result>) => void;
}

/** Follow an answer until it has ended. Where a chat has none that is being written, the connection ends at once (`ended`). */
export function followAnswer<Result = unknown>(
  answer: AnswerName,
  options?: FollowAnswerOptions<Result>,
): Connection;

export interface TaskProgress {
  progress?: number;
  current?: number;
  total?: number;
  total_files?: number;
  message?: string;
  task_id: string;
  sequence: number;
}

export interface FileUpdate {
  file_id: string;
  filename?: string;
  status?: string;
  progress?: number;
  message?: string;
  task_id: string;
  sequence: number;
}

export interface TaskCompleted<Result = unknown> {
  task_id: string;
  job_id: string;
  result?: Result;
  sequence: number;
}

/** A task that failed, or a connection that ended for good (then `details.code` says why and there is no `sequence`). */
export interface TaskFailed {
  error: string;
  details?: any;
  task_id: string;
  sequence?: number;
}

/** Everything known about a task at this moment. */
export interface Task<Result = unknown> extends TaskProgress {
  status: "active" | "completed" | "failed";
  files: FileUpdate[];
  result?: Result;
  error?: string;
  details?: any;
}

export interface ProgressStreamOptions<Result = unknown>
  extends Omit<ConnectOptions, "onEvent" | "events" | "onError" | "shared" | "native" | "onReset"> {
  onProgress?: (progress: TaskProgress) => void;
  onFileUpdate?: (file: FileUpdate) => void;
  onComplete?: (completed: TaskCompleted<Result>) => void;
  onError?: (failed: TaskFailed) => void;
  /** After each of the others: the whole picture. */
  onTaskUpdate?: (task: Task<Result>) => void;
}

export interface ProgressStream {
  close(): void;
  /** 0 connecting, 1 open, 2 closed. */
  readyState(): 0 | 1 | 2;
}

/** Follow a task on `GET /api/v1/status/tasks/{taskId}/stream` until it has ended. */
export function createProgressStream<Result = unknown>(
  taskId: string,
  options?: ProgressStreamOptions<Result>,
): ProgressStream;

// The parser ----------------------------------------------------------------------------------------------------------

export interface ParsedEvent {
  type: string;
  data: string;
  lastEventId: string;
}

/** Reads the event stream format exactly as the WHATWG's HTML standard has it. Pure. */
export class SSEParser {
  constructor(options?: { lastEventId?: string; maxEventSize?: number });
  /** The cursor after the last complete event. */
  readonly lastEventId: string;
  /** The last `retry:` in milliseconds, null where none was seen. */
  readonly retry: number | null;
  /** Events that these bytes complete. Throws {@link StreamError} `too_large`. What the end of the stream cuts off is never an event. */
  feed(chunk: Uint8Array): ParsedEvent[];
}

/** When a JWT expires, in milliseconds since the Unix epoch; null where it does not say. Nothing is verified. */
export function tokenExpiry(token: string): number | null;

/** Whose a JWT is; null where it does not say. Nothing is verified. */
export function tokenSubject(token: string): string | null;
