// How long to wait before the next attempt.

const MAX_SERVER_WAIT_MS = 600_000; // what a server may ask for at most; beyond it is a mistake

export class Backoff {
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
