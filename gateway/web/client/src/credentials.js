// The token or ticket of one stream: asked for when needed, kept while it lasts, replaced before it ends.

import { altered } from "./errors.js";
import { TicketSource, TokenSource } from "./sources.js";
import { TicketOffice } from "./tickets.js";
import { MAX_TIMER_MS, slept } from "./waiting.js";

export class Credentials {
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
