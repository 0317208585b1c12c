// The demo page: starts a job, and lets every dialect tell of it.
import { applyJobEvent } from "./sse-client.js";
import { DIALECTS } from "./dialects.js";
import { lab } from "./lab.js";
import { Pane } from "./pane.js";
import { $, announce, call, demo, dev, h, root, setState, tell } from "./ui.js";

const HIDDEN_MS = 3000;
const client = `demo-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
const STATUS = {
  pending: ["pending", "warn"],
  active: ["active", "warn"],
  completed: ["completed", "good"],
  failed: ["failed", "bad"],
  cancelled: ["cancelled", "bad"],
};

let job = null;
let other = null;

const panes = DIALECTS.map((dialect) => new Pane(dialect, (frame) => dialect.name === "native" && step(frame)));
$("panes").append(...panes.map((pane) => pane.element));

function step(frame) {
  let data;
  try {
    data = JSON.parse(frame.data);
  } catch {
    return;
  }
  const next = applyJobEvent(job, { type: frame.event ?? "message", data, raw: frame.data, id: frame.id ?? "" });
  if (next !== job) showJob((job = next));
}

function showJob(now) {
  if (!now) return;
  const [word, kind] = STATUS[now.status];
  if ($("job-state").textContent !== word) announce(`The job is ${word}`);
  setState($("job-state"), word, kind);
  $("job-id").textContent = now.job_id;
  const of = now.current != null && now.total != null ? ` (${now.current} of ${now.total})` : "";
  $("job-message").textContent = now.status === "failed" ? (now.error?.message ?? "") : now.status === "active" && now.message ? `${now.message}${of}` : "";
  $("bar").value = now.status === "completed" ? 100 : now.progress;
  $("items").replaceChildren(...(now.items ?? []).map((item) => h("li", {}, h("code", {}, item.filename ?? item.item_id), ` ${item.status ?? ""} ${item.progress ?? 0} %`)));
  $("result").replaceChildren(...pictures(now.result).map((src) => h("img", { class: "result", src, alt: "A picture that the job made" })));
}

/** Pictures inside of a result, which the demo's worker makes as data: URLs. */
function pictures(result) {
  const texts = [result?.imageUrl, result?.url, result?.poster, ...(Array.isArray(result?.output) ? result.output : [])];
  return texts.filter((text) => typeof text === "string" && text.startsWith("data:image/"));
}

/** The node under its other name, where the browser has six more connections; null where there is none. */
async function otherName() {
  const origin = document.documentElement.dataset.other;
  if (!origin) return null;
  const base = new URL(root.pathname, origin);
  try {
    await fetch(new URL("livez", base), { credentials: "omit", signal: AbortSignal.timeout(3000) });
    return base;
  } catch {
    return null;
  }
}

async function follow(id, kind) {
  job = null;
  history.replaceState(null, "", `#${encodeURIComponent(id)}`); // a reload goes on watching it
  $("now").hidden = false;
  $("job-id").textContent = id;
  setState($("job-state"), "connecting…", "warn");
  $("items").replaceChildren();
  $("result").replaceChildren();
  $("job-message").textContent = "";
  $("bar").value = 0;
  other ??= await otherName();
  // Without a second name the six connections must do for the page's own calls too.
  const told = { id, kind, client: demo && other ? client : "" };
  const token = dev ? "" : $("token").value.trim();
  for (const pane of panes) pane.follow(told, pane.dialect.other && other ? other : root, token);
  $("cut").disabled = false;
}

async function start(kind) {
  tell($("problem"));
  $("now").hidden = false;
  setState($("job-state"), "starting…", "warn");
  try {
    const body = { kind, fail: $("fail").checked, notify: client };
    const started = await call("dev/jobs", { method: "POST", body });
    await follow(started.job_id, kind);
  } catch (error) {
    $("now").hidden = job === null;
    showJob(job);
    tell($("problem"), error.message);
  }
}

async function watch(id) {
  tell($("problem"));
  try {
    const found = await call(`v1/jobs/${encodeURIComponent(id)}`, { token: dev ? "" : $("token").value.trim() });
    await follow(id, found.kind);
  } catch (error) {
    tell($("problem"), error.message);
  }
}

for (const button of $("kinds").children) button.addEventListener("click", () => start(button.dataset.kind));
$("watch").addEventListener("submit", (event) => {
  event.preventDefault();
  watch($("job").value.trim());
});
$("cut").addEventListener("click", () => panes.forEach((pane) => pane.cut()));

if (location.hash.length > 1 && dev) watch(decodeURIComponent(location.hash.slice(1)));

let leaving = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(() => panes.forEach((pane) => pane.pause()), HIDDEN_MS);
  else panes.forEach((pane) => pane.resume());
});

$("kinds").hidden = $("fail-label").hidden = !demo;
$("token-field").hidden = dev;
if (demo) lab((text, kind) => panes.forEach((pane) => pane.note(text, kind)));
else tell($("no-lab"), "Starting jobs, killing nodes and pulling Redis away are offered by sse-gateway dev. Here you can watch a job that exists.");
