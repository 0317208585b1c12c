// Where tokens and tickets come from: what the user has given as one, a text or a function.

import { StreamError } from "./errors.js";
import { timeoutMs } from "./requests.js";
import { lease, tokenSubject } from "./tokens.js";
import { within } from "./waiting.js";

export function noCredential(name, what, cause) {
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

export class TokenSource extends Source {
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

export class TicketSource extends Source {
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
