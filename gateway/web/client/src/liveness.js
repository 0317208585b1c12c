// Whether a stream is still alive: something arrives again and again, heartbeats at least.

export const SILENCE_MS = 45_000;
const STALE_MS = 20_000; // who comes back to a page does not wait for the full silence

export class Liveness {
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
