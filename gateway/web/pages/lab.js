// Taking a node or Redis away, where `sse-gateway dev` runs them.
import { $, announce, call, devToken, h, setState, tell } from "./ui.js";

const EVERY_MS = 1000;
const NODE = { up: ["up", "good"], starting: ["starting", "warn"], away: ["gone", "bad"] };

let streams = new Map();
let statsToken = "";
let asking = false;

async function countStreams() {
  if (asking) return;
  asking = true;
  try {
    statsToken ||= await devToken("demo-page", "stats");
    const { nodes } = await call("v1/stats", { token: statsToken });
    streams = new Map(nodes.map((node) => [node.id, node.connections]));
  } catch (error) {
    if (error.status === 401) statsToken = "";
    streams = new Map();
  } finally {
    asking = false;
  }
}

async function act(body) {
  try {
    await call("dev/lab", { method: "POST", body });
    tell($("problem"));
  } catch (error) {
    tell($("problem"), error.message);
  }
}

const shown = new Map();
let broker = "";
let note = () => {};

function showNode(node) {
  let row = shown.get(node.name);
  if (!row) {
    const state = h("span", { class: "state" });
    const detail = h("span", { class: "soft" });
    const button = h("button", { type: "button", onclick: () => act({ do: "kill", node: node.name }) }, `Kill node ${node.name}`);
    row = { state, detail, button };
    shown.set(node.name, row);
    $("lab-nodes").append(h("span", { class: "row" }, button, state, detail));
  }
  const [word, kind] = NODE[node.state];
  if (row.pid && row.wasUp && (row.pid !== node.pid || node.state !== "up")) {
    note(`Node ${node.name} was killed`, "bad");
    announce(`Node ${node.name} was killed`);
  }
  row.pid = node.pid;
  row.wasUp = node.state === "up";
  setState(row.state, word, kind);
  row.button.disabled = node.state !== "up";
  const many = streams.get(node.id);
  // A node that has just begun is counted with its first heartbeat.
  const counted = many === undefined ? "counting…" : `${many} ${many === 1 ? "stream" : "streams"}`;
  row.detail.textContent = node.state === "up" ? counted : "no streams";
}

function showBroker({ state, back_at: backAt }) {
  const left = Math.max(1, Math.ceil((backAt - Date.now()) / 1000));
  const words = {
    up: ["up", "good", ""],
    own: ["your own", "good", "it was named with --redis-url, so it is left alone"],
    frozen: ["away", "bad", `back in ${left} s, with everything it had`],
    gone: ["away", "bad", `back in ${left} s, empty`],
  };
  const [word, kind, detail] = words[state];
  if (broker && broker !== state) {
    const text = state === "up" ? (broker === "gone" ? "Redis is back, empty" : "Redis is back") : "Redis is away";
    note(text, kind);
    announce(text);
  }
  broker = state;
  setState($("redis-state"), word, kind);
  $("redis-detail").textContent = detail;
  $("freeze").disabled = $("lose").disabled = state !== "up";
}

async function look() {
  if (!document.hidden) {
    try {
      const state = await call("dev/lab", { timeoutMs: 4000 });
      $("lab").hidden = false;
      state.nodes.forEach(showNode);
      showBroker(state.broker);
      countStreams();
    } catch (error) {
      if (error.status === 404) {
        $("lab").hidden = true;
        return tell($("no-lab"), "Killing nodes and Redis is offered by sse-gateway dev on a loopback address.");
      }
      setState($("redis-state"), "unknown", "warn");
      $("redis-detail").textContent = error.message;
    }
  }
  setTimeout(look, EVERY_MS);
}

/** `onNote(text, kind)` is told when something was taken away or came back. */
export function lab(onNote) {
  note = onNote;
  $("freeze").addEventListener("click", () => act({ do: "freeze" }).then(rest));
  $("lose").addEventListener("click", () => act({ do: "lose" }).then(rest));
  look();
}

function rest() {
  $("freeze").disabled = $("lose").disabled = true;
}
