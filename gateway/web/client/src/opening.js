// Asking for a stream.

import { StreamError, refusal } from "./errors.js";
import { request, timeoutMs } from "./requests.js";
import { within } from "./waiting.js";

const MAX_CURSOR = 4096; // the node reads no more; a longer id is not sent back

/** A reader of the stream after `cursor`. Null: there is nothing to follow any more. Throws where there is no stream. */
export async function opening(url, options, { token, ticket }, cursor, signal) {
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
