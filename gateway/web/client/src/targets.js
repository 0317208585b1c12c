// Addresses: what `connect` is to follow, and which channels of which node that is.

export const MAX_CHANNELS = 32;
const NATIVE = /\/v1\/(events|jobs\/events|jobs\/[^/]+\/events|chats\/[^/]+\/events|clients\/[^/]+\/events)$/;

/** The address of a path of the node; a base URL keeps the path under which a proxy shows the node. */
export function resolve(path, baseUrl) {
  const given = baseUrl === undefined ? globalThis.location?.href : new URL(String(baseUrl), globalThis.location?.href).href;
  if (given === undefined && !/^https?:/.test(path)) {
    throw new TypeError(`${path} is relative and there is no page: give the option baseUrl.`);
  }
  if (baseUrl !== undefined && path.startsWith("/")) return new URL(given.replace(/[?#].*$/, "").replace(/\/$/, "") + path);
  return new URL(path, given);
}

/** What `connect` is to follow. */
export function target(asked, options) {
  let url;
  if (Array.isArray(asked)) {
    const channels = [...new Set(asked)];
    if (channels.length < 1 || channels.length > MAX_CHANNELS) {
      throw new TypeError(`Name 1 to ${MAX_CHANNELS} channels, not ${channels.length}.`);
    }
    url = resolve("/v1/events", options.baseUrl);
    for (const channel of channels) url.searchParams.append("channel", channel);
  } else {
    url = resolve(String(asked), options.baseUrl);
  }
  const native = options.native ?? NATIVE.test(url.pathname);
  if (native) {
    if (!url.searchParams.has("envelope")) url.searchParams.set("envelope", "1");
    if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", "event");
  }
  return { url, native, channels: channelsOf(url) };
}

/** The channels that a native URL names; null where only the server knows them. `user` stands for the caller's jobs. */
function channelsOf(url) {
  const path = NATIVE.exec(url.pathname)?.[1];
  if (path === undefined) return null;
  if (path === "events") return [...new Set(url.searchParams.getAll("channel"))];
  if (path === "jobs/events") return ["user:"];
  if (path.startsWith("chats/")) return null;
  const id = decodeURIComponent(path.split("/")[1]);
  return path.startsWith("jobs/") ? [`job:${id}`] : [`client:${id}`, "broadcast"];
}

/** The part of a native URL's path in front of `/v1/`. */
export function nodeOf(url) {
  return url.origin + url.pathname.slice(0, url.pathname.lastIndexOf("/v1/"));
}
