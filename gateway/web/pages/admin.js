// The admin page: figures and clients over all nodes, messages, and sending somebody away.
import { Chart } from "./chart.js";
import { Clients } from "./clients.js";
import { milliseconds, number, percentile, Rates, since } from "./figures.js";
import { sending } from "./sending.js";
import { $, call, CallError, demo, dev, devToken, h, tell } from "./ui.js";

const EVERY_MS = 2000;
let token = "";
let timer = null;
let freshAt = 0;
let lastLatency = null;
const rates = new Rates();
const charts = {
  connections: new Chart($("connections-chart"), { label: "Open streams", words: number, least: 5 }),
  events: new Chart($("events-chart"), { label: "Events delivered per second", words: number, least: 5 }),
  latency: new Chart($("latency-chart"), { label: "Delivery latency", words: milliseconds, least: 0.01 }),
};

/** Every call of this page; a token that dev made and forgot (it was started again) is fetched anew once. */
async function ask(path, options = {}) {
  try {
    return await call(path, { ...options, token });
  } catch (error) {
    if (error.status !== 401 || !dev) throw error;
    token = await devToken("admin-page", "admin");
    return await call(path, { ...options, token });
  }
}

const clients = new Clients(ask);
sending(ask, clients);

/** In dev nodes have the names that the demo page gives them. */
let names = new Map();
async function learnNames(nodes) {
  if (!demo || nodes.every((node) => names.has(node.id))) return;
  const lab = await call("dev/lab").catch(() => null);
  names = new Map((lab?.nodes ?? []).map((node) => [node.id, `node ${node.name}`]));
}

function showNodes(stats, perNode) {
  const rows = stats.nodes.map((node) => {
    const state = h("span", { class: `state ${node.draining ? "warn" : "good"}` }, node.draining ? "stopping" : "up");
    const rate = perNode.get(node.id);
    return h(
      "tr",
      {},
      h("th", names.has(node.id) ? { scope: "row", title: node.id } : { scope: "row", class: "mono" }, names.get(node.id) ?? node.id),
      h("td", {}, state),
      h("td", { class: "number" }, number(node.connections)),
      h("td", { class: "number" }, number(node.clients)),
      h("td", { class: "number" }, rate === null ? "–" : number(rate)),
      h("td", {}, since(node.started_at)),
      h("td", {}, node.version),
    );
  });
  $("nodes").replaceChildren(...rows);
}

function showFigures(stats) {
  const { perNode, total, latency } = rates.update(stats.nodes);
  const p95 = latency && percentile(stats.latency_bounds_s, latency, 0.95);
  $("connections").textContent = number(stats.totals.connections);
  $("events").textContent = total === null ? "–" : number(total);
  if (p95 !== null) lastLatency = { p95, at: Date.now() };
  showLatency();
  charts.connections.add(stats.totals.connections);
  charts.events.add(total);
  charts.latency.add(p95 === Infinity ? 10 : p95);
  showNodes(stats, perNode);
}

/** Where nothing is on its way now, what was measured last, and when. */
function showLatency() {
  if (lastLatency === null) return $("latency").replaceChildren("–", h("small", {}, " until an event reaches somebody"));
  const age = Date.now() - lastLatency.at;
  const when = age < EVERY_MS ? "" : ` ${since(lastLatency.at)} ago`;
  $("latency").replaceChildren(milliseconds(lastLatency.p95), h("small", {}, when));
}

async function refresh() {
  clearTimeout(timer);
  try {
    if (!document.hidden || !freshAt) {
      const stats = await ask("v1/stats");
      freshAt = Date.now();
      $("sign-in").hidden = true;
      $("panel").hidden = false;
      await learnNames(stats.nodes);
      showFigures(stats);
      await clients.refresh();
      tell($("problem"));
    }
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    if (refused(error)) return;
    tell($("problem"), freshAt ? `${error.message} The figures below are from ${since(freshAt)} ago.` : error.message);
  } finally {
    $("freshness").textContent = freshAt ? `over the last 2 minutes, anew every ${EVERY_MS / 1000} s` : "";
  }
  timer = setTimeout(refresh, EVERY_MS);
}

/** Whether the token does not do; then this page shows nothing but that. */
function refused(error) {
  if (error.status !== 401 && error.status !== 403) return false;
  const first = !token;
  token = "";
  freshAt = 0;
  $("panel").hidden = true;
  $("sign-in").hidden = dev;
  tell($("problem"), first ? "" : `This token does not open the page. ${error.message}`);
  if (!dev) $("token").focus();
  return true;
}

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  refresh();
});
document.addEventListener("visibilitychange", () => !document.hidden && freshAt && refresh());

if (dev) {
  try {
    token = await devToken("admin-page", "admin");
    await refresh();
  } catch (error) {
    tell($("problem"), error.message);
  }
} else {
  $("sign-in").hidden = false;
  $("token").focus();
}
