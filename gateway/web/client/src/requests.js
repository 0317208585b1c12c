// Requests as the options want them sent.

/** Fetches `url` with the headers and cookies that the options name, and with `token` if there is one. */
export function request(url, options, { token = null, headers, ...more }) {
  const all = { ...options.headers, ...headers };
  if (token !== null) all.Authorization = `Bearer ${token}`;
  const credentials = options.credentials ?? (options.withCredentials ? "include" : "same-origin");
  const call = options.fetch ?? globalThis.fetch;
  return call(String(url), { ...more, headers: all, cache: "no-store", credentials });
}

/** How long a request may take, in milliseconds. */
export function timeoutMs(options) {
  return options.connectTimeoutMs ?? 30_000;
}
