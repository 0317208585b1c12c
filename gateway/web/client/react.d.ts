// The public interface of react.js: hooks for React 18 and 19.

import type {
  Answer,
  AnswerName,
  AnswerPart,
  ConnectionState,
  ConnectOptions,
  EventMap,
  EventOf,
  Job,
  JobError,
  JobItem,
  JobStatus,
  StreamError,
} from "./sse-client.js";

/** Handlers may be new functions in every render; the newest are called and nothing is connected anew. */
export type HookOptions<M extends object = EventMap> = Omit<ConnectOptions<M>, "signal"> & {
  /** False: do not connect. */
  enabled?: boolean;
};

export interface JobView<Result = unknown> {
  /** Null until the newest state has arrived. */
  job: Job<Result> | null;
  status: JobStatus | null;
  /** 0 to 100. */
  progress: number;
  stage: string | null;
  message: string | null;
  current: number | null;
  total: number | null;
  items: JobItem[];
  result: Result | null;
  /** Why the job failed. */
  error: JobError | null;
  /** Whether the job has ended. */
  finished: boolean;
  connectionState: ConnectionState;
  /** Trouble of the connection; null again as soon as it is open. */
  connectionError: StreamError | null;
}

/** The newest state of a job, kept up to date. Without an id nothing is connected. */
export function useJob<Result = unknown>(jobId: string | null | undefined, options?: HookOptions): JobView<Result>;

export interface AnswerView<Result = unknown> {
  /** Null until the newest state has arrived, and where there is no such answer. */
  answer: Answer<Result> | null;
  jobId: string | null;
  status: JobStatus | null;
  /** All text so far. */
  text: string;
  /** Everything so far, in its order: text and reasoning with their pieces joined, and what came between. */
  parts: AnswerPart[];
  /** Why the answer failed. */
  error: JobError | null;
  /** Whether the answer has ended. */
  finished: boolean;
  connectionState: ConnectionState;
  /** Trouble of the connection; null again as soon as it is open. */
  connectionError: StreamError | null;
}

/**
 * An answer while it is written: by its job's id, or the one that is being written in a chat of the user's. Where none
 * is, the connection is `closed` at once. Without a name nothing is connected.
 */
export function useAnswer<Result = unknown>(
  answer: AnswerName | null | undefined,
  options?: HookOptions,
): AnswerView<Result>;

export interface EventsView<M extends object = EventMap> {
  /** The newest events, oldest first: as many as `keep` says. */
  events: EventOf<M>[];
  lastEvent: EventOf<M> | null;
  connectionState: ConnectionState;
  connectionError: StreamError | null;
}

/** The events of a URL or of channels. `keep` (100) is how many are kept; with 0 there are only the handlers. */
export function useEvents<M extends object = EventMap>(
  target: string | URL | readonly string[] | null | undefined,
  options?: HookOptions<M> & { keep?: number },
): EventsView<M>;
