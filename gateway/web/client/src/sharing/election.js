// Which tab leads: the one that holds a Web Lock. The browser gives it to the next tab when that one is gone.

export class Election {
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
