// One tab of a browser, as a worker thread: a module instance, a BroadcastChannel and (from the parent) Web Locks of its own.
// It ends without a word when the parent terminates it, like a tab that crashes.

import { parentPort } from "node:worker_threads";

import { connect } from "../../gateway/web/client/sse-client.js";

// navigator.locks, of which Node 20 has none. The parent grants the locks, and takes them back when a tab is gone.
const asked = new Map();
let last = 0;
const locks = {
  request(name, options, callback) {
    const id = (last += 1);
    return new Promise((resolve, reject) => {
      asked.set(id, { resolve, reject, callback });
      parentPort.postMessage({ lock: "request", id, name, steal: options.steal ?? false });
      options.signal?.addEventListener("abort", () => {
        if (!asked.delete(id)) return; // granted: aborting changes nothing
        parentPort.postMessage({ lock: "release", id, name });
        reject(new DOMException("aborted", "AbortError"));
      });
    });
  },
};
function granted({ id, name }) {
  const request = asked.get(id);
  if (request === undefined) {
    parentPort.postMessage({ lock: "release", id, name });
    return;
  }
  asked.delete(id);
  request.stolen = (error) => request.reject(error);
  held.set(id, request);
  Promise.resolve(request.callback({ name }))
    .then(request.resolve, request.reject)
    .finally(() => held.delete(id) && parentPort.postMessage({ lock: "release", id, name }));
}
const held = new Map();
function stolen({ id }) {
  held.get(id)?.stolen(new DOMException("stolen", "AbortError"));
  held.delete(id);
}
Object.defineProperty(globalThis, "navigator", { value: { locks }, configurable: true });

// Whatever goes over the BroadcastChannel of this tab is told to the parent.
const Channel = globalThis.BroadcastChannel;
globalThis.BroadcastChannel = class extends Channel {
  constructor(name) {
    super(name);
    parentPort.postMessage({ channel: name });
  }
  postMessage(message) {
    parentPort.postMessage({ said: message });
    super.postMessage(message);
  }
};

const frame = new EventTarget();
globalThis.addEventListener = frame.addEventListener.bind(frame);
globalThis.removeEventListener = frame.removeEventListener.bind(frame);

const connections = new Map();
const commands = {
  connect({ key, target, options }) {
    const { tokens, ...rest } = options;
    const tell = (what) => parentPort.postMessage({ key, ...what });
    const counted = (url, init) => {
      parentPort.postMessage({ key, request: String(url), cursor: init.headers["Last-Event-ID"] ?? "" });
      return fetch(url, init).then((response) => {
        parentPort.postMessage({ key, answered: response.status });
        return response;
      });
    };
    const connection = connect(target, {
      minDelayMs: 50,
      maxDelayMs: 500,
      shared: true,
      ...rest,
      ...(tokens ? { token: () => (tokens.length > 1 ? tokens.shift() : tokens[0]) } : {}),
      fetch: counted,
      onEvent: ({ type, data, channel, seq, id }) => tell({ event: { type, data, channel, seq, id, attached: connection.shared } }),
      onStateChange: (change) => tell({ state: change.state }),
      onOpen: (open) => tell({ open }),
      onReset: (reset) => tell({ reset }),
      onError: ({ code, final, message }) => tell({ error: { code, final, message } }),
      onClose: ({ reason }) => tell({ closed: reason }),
    });
    connections.set(key, connection);
  },
  close: ({ key }) => connections.get(key).close(),
  reconnect: ({ key }) => connections.get(key).reconnect(),
  look: ({ key }) => {
    const { state, shared, lastEventId } = connections.get(key);
    parentPort.postMessage({ key, look: { state, shared, lastEventId } });
  },
  page: ({ what, more }) => frame.dispatchEvent(Object.assign(new Event(what), more)),
  granted,
  stolen,
  /** Be busy for a while, like a tab that the system has stopped. */
  freeze: ({ ms }) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
};
parentPort.on("message", ({ command, ...argument }) => commands[command](argument));
parentPort.postMessage({ ready: true });
