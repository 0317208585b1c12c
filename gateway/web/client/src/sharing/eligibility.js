// Whether a connection can be shared, and with whom.

import { tokenSubject } from "../tokens.js";

/** Whom the tabs of a session have in common; null where that cannot be known, and sharing might mix up two users. */
function commonUser(options) {
  if (options.ticket != null || options.ticketUrl) return null;
  if (options.token != null) return "token";
  if (options.subject !== undefined) return `subject ${options.subject}`;
  return options.credentials === "omit" ? "anonymous" : null;
}

export function canShare(spec, options) {
  return spec.native && spec.channels !== null && commonUser(options) !== null && globalThis.navigator?.locks !== undefined && globalThis.BroadcastChannel !== undefined;
}

/** `{name, subject}` of the user whose stream is open with `token`. Null: the token does not say whose it is. */
export function userOf(token, options) {
  if (!token) return { name: commonUser(options), subject: undefined };
  const subject = tokenSubject(token);
  return subject === null ? null : { name: `user ${subject}`, subject };
}
