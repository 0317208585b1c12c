// The start page: commands to copy, and how this node is.
import { number } from "./figures.js";
import { $, call, copyButtons, dev, devToken, setState } from "./ui.js";

copyButtons();

async function look() {
  if (document.hidden) return;
  try {
    await call("readyz");
    setState($("ready"), "ready", "good");
  } catch (error) {
    if (error.status === 503) setState($("ready"), `not ready: ${error.message}`, "warn");
    else setState($("ready"), "does not answer", "bad");
  }
}

let token = "";
/** Over all nodes; only in dev, where anybody may know. */
async function count() {
  if (!dev || document.hidden) return;
  try {
    token ||= await devToken("start-page", "stats");
    const { totals } = await call("v1/stats", { token });
    $("streams").textContent = number(totals.connections);
    $("clients").textContent = number(totals.clients);
    $("delivered").textContent = number(totals.events_delivered);
    $("live").hidden = false;
  } catch (error) {
    if (error.status === 401) token = "";
  }
}

look();
count();
setInterval(count, 2000);
setInterval(look, 5000);
