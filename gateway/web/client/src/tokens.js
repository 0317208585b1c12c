// What a token (or a ticket, which is one) says about itself, and when the next one is due.

const MARGIN_MS = 30_000; // the next one is asked for so long before the end

function claims(token) {
  try {
    const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    const found = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    return typeof found === "object" && found !== null ? found : {};
  } catch {
    return {};
  }
}

export function tokenExpiry(token) {
  const { exp } = claims(token);
  return typeof exp === "number" && Number.isFinite(exp) ? exp * 1000 : null;
}

export function tokenSubject(token) {
  const { sub } = claims(token);
  return typeof sub === "string" ? sub : null;
}

/** Whether a token ends too soon to buy a ticket with it. */
export function expiresSoon(token) {
  const expiry = tokenExpiry(token);
  return expiry !== null && expiry < Date.now() + 2 * MARGIN_MS;
}

/** `found` with the times of its `token`: when it ends and when the next one is due; null where it does not end. */
export function lease(found, token, seconds) {
  const expiresAt = typeof seconds === "number" ? seconds * 1000 : tokenExpiry(token);
  const left = lifetime(token, expiresAt);
  if (left === null) return { ...found, expiresAt: null, refreshAt: null };
  // Half a minute before its end; a short-lived one after three quarters of its life, but two seconds before.
  const margin = Math.min(MARGIN_MS, Math.max(left / 4, 2000));
  return { ...found, expiresAt: Date.now() + left, refreshAt: Date.now() + Math.max(0, left - margin) };
}

/** Milliseconds that a fresh token lasts. Where the clock here says that it is over already, its own two times count. */
function lifetime(token, expiresAt) {
  if (expiresAt === null) return null;
  const left = expiresAt - Date.now();
  const { iat } = claims(token);
  if (left <= 0 && typeof iat === "number") return Math.max(0, expiresAt - iat * 1000);
  return Math.max(0, left);
}
