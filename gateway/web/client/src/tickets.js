// Tickets that are bought from a node (or from somebody who buys them there) with the user's token.

import { refusal } from "./errors.js";
import { request, timeoutMs } from "./requests.js";
import { noCredential } from "./sources.js";
import { nodeOf, resolve } from "./targets.js";
import { expiresSoon, lease } from "./tokens.js";
import { within } from "./waiting.js";

export class TicketOffice {
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
