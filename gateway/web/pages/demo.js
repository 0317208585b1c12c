// The demo page: starts a job, and lets every dialect tell of it.
import { DIALECTS } from "./dialects.js";
import { lab } from "./lab.js";
import { Pane } from "./pane.js";
import { STATUS } from "./sight.js";
import { $, announce, call, demo, dev, devToken, root, setState, tell } from "./ui.js";

const HIDDEN_MS = 3000;
const client = `demo-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
const OVER = new Set(["completed", "failed", "cancelled"]);

let job = null;
let other = null;

// What a client hears needs a client of this page, so it is told where this page starts jobs.
const panes = DIALECTS.filter(({ name }) => demo || name !== "clients").map((dialect) => new Pane(dialect));
const native = panes[0];
native.onSight = showJob;
$("panes").append(...panes.map((pane) => pane.element));

function showJob(sight) {
  job = sight.job;
  const [word, kind] = STATUS[job.status];
  if ($("job-state").textContent !== word) announce(`The job is ${word}`);
  setState($("job-state"), word, kind);
  $("job-id").textContent = job.job_id;
  $("job-message").textContent = sight.message;
  $("bar").value = job.status === "completed" ? 100 : job.progress;
  running(OVER.has(job.status) ? null : job.kind);
}

/** Mark the button whose job runs; null: none does. */
function running(kind) {
  for (const button of $("kinds").children) {
    if (button.dataset.kind === kind) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  $("cancel").hidden = kind === null;
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

/** As before the first job. */
function nothing() {
  $("no-job").hidden = false;
  $("running").hidden = $("cancel").hidden = true;
  setState($("job-state"), "none yet");
}

/** Show that something begins, also on a screen that ends above it. */
function begin(word) {
  $("no-job").hidden = true;
  $("running").hidden = false;
  setState($("job-state"), word, "warn");
  $("now").scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

async function follow(id, kind) {
  job = null;
  history.replaceState(null, "", `#${encodeURIComponent(id)}`); // a reload goes on watching it
  begin("connecting…");
  $("job-id").textContent = id;
  $("job-message").textContent = "";
  running(kind);
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
  begin("starting…");
  try {
    const body = { kind, speed: $("speed").value, fail: $("fail").checked, notify: client };
    const started = await call("dev/jobs", { method: "POST", body });
    await follow(started.job_id, kind);
  } catch (error) {
    if (job) showJob(native.seen);
    else nothing();
    tell($("problem"), error.message);
  }
}

async function cancel() {
  tell($("problem"));
  $("cancel").disabled = true;
  try {
    // In dev jobs are nobody's, so it takes an administrator.
    const token = dev ? await devToken("demo-page", "admin") : $("token").value.trim();
    await call(`v1/jobs/${encodeURIComponent($("job-id").textContent)}/cancel`, { method: "POST", token });
  } catch (error) {
    tell($("problem"), `Not cancelled. ${error.message}`);
  } finally {
    $("cancel").disabled = false;
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
$("cancel").addEventListener("click", cancel);
$("raw").addEventListener("change", () => {
  $("panes").classList.toggle("raw", $("raw").checked);
  panes.forEach((pane) => pane.toEnd());
});
$("cut").addEventListener("click", () => panes.forEach((pane) => pane.cut()));

if (location.hash.length > 1 && dev) watch(decodeURIComponent(location.hash.slice(1)));

let leaving = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(leaving);
  if (document.hidden) leaving = setTimeout(() => panes.forEach((pane) => pane.pause()), HIDDEN_MS);
  else panes.forEach((pane) => pane.resume());
});

$("raw").checked = false; // a browser that goes back may have kept it
$("token-field").hidden = dev;
if (demo) lab((text, kind) => panes.forEach((pane) => pane.note(text, kind)));
else tell($("no-lab"), dev ? "Its jobs, and what takes nodes and Redis away, are left out with --no-demo." : "More to break has sse-gateway dev, on a developer's machine.");
