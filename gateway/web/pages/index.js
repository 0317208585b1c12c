// The start page: commands to copy, and how this node is.
import { $, call, copyButtons, setState } from "./ui.js";

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

look();
setInterval(look, 5000);
