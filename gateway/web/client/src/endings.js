// What it means that an attempt has ended.

import { StreamError } from "./errors.js";

/** The error of a stream that ended with the server's last words `close` (null: without any). Null: all has been told. */
export function ending(close, wasOpen) {
  if (close === null) return because("end", new StreamError("closed_by_server", "The stream has ended."));
  const { reason = "end", reconnect = true, message = "" } = close;
  if (reconnect !== false) {
    const code = wasOpen ? "closed_by_server" : "refused";
    return because(reason, new StreamError(code, `The server asks to come back later (${reason}). ${message}`));
  }
  if (reason === "finished") return null;
  if (reason === "token_expired") {
    return new StreamError("token_expired", "The token has expired; give a function as token that gets a new one.", { final: true });
  }
  return new StreamError(reason, `The server has ended the stream for good (${reason}). ${message}`, { final: true });
}

function because(reason, error) {
  return Object.assign(error, { reason });
}

/** The error to tell of an attempt that was cut short by `cause` (null: by nobody here) or has failed with `error`. */
export function trouble(cause, error) {
  if (cause === "silence") return new StreamError("silence", "Nothing has arrived for too long; the connection is taken for dead.");
  if (error instanceof StreamError) return error;
  return new StreamError("network", "The connection failed or was cut; the network or the server is away.", { cause: error });
}
