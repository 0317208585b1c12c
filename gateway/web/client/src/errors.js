// What users are told when something goes wrong, and the errors that a server's answers mean.

export class StreamError extends Error {
  constructor(code, message, { final = false, status, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StreamError";
    this.code = code;
    this.final = final;
    if (status !== undefined) this.status = status;
  }
}

/** The same error with other words, or final or not. */
export function altered({ code, message, final, status, cause }, change) {
  const all = { message, final, ...change };
  return new StreamError(code, all.message, { final: all.final, status, cause });
}

/** The error of an answer that is no stream, in the server's own words where it has some. */
export async function refusal(response, what) {
  const { status } = response;
  const body = await response.json().catch(() => null);
  const words = body?.error?.message ?? body?.error ?? null;
  const code = { 400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found" }[status] ?? "http_error";
  const temporary = status >= 500 || status === 408 || status === 425 || status === 429;
  const error = new StreamError(code, `${what} (${status}${typeof words === "string" ? `: ${words}` : ""})`, {
    final: !temporary,
    status,
  });
  error.retryAfterMs = retryAfter(response);
  return error;
}

function retryAfter(response) {
  const value = response.headers.get("retry-after");
  if (value === null) return null;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

/** Reports what a user's own function threw, without letting it reach the stream. */
export function report(error) {
  if (typeof globalThis.reportError === "function") globalThis.reportError(error);
  else console.error(error);
}
