// The client page: joins under a name, shows what arrives, and what the connection does.
import { connect } from "./sse-client.js";
import { $, announce, clock, dev, devToken, h, root, setState, tell } from "./ui.js";

const MOST = 200;
const STATES = {
  connecting: ["connecting…", "warn"],
  open: ["connected", "good"],
  waiting: ["connection lost", "warn"],
  paused: ["paused", "warn"],
  closed: ["ended", "bad"],
};
const ENDS = {
  disconnected: "An administrator has disconnected this client. Join again when you like.",
  token_expired: "The token has expired. Join again with a new one.",
  forbidden: "This channel may not be read with this token.",
};

let connection = null;
let trouble = "";
let received = 0;
let reconnects = 0;

function controls() {
  const joined = connection !== null;
  $("join-button").disabled = joined;
  $("name").readOnly = joined;
  $("leave").disabled = $("again").disabled = !joined;
}

function show(event) {
  $("count").textContent = String((received += 1));
  $("empty").hidden = true;
  $("clear").disabled = false;
  const to = (event.channel ?? "") === "broadcast" ? "to everybody" : "to you";
  $("events").prepend(
    h(
      "li",
      {},
      h("time", {}, clock(event.time ? new Date(event.time) : new Date())),
      h("span", { class: "tag" }, event.type),
      h("span", { class: "soft" }, ` ${to}`),
      h("pre", {}, pretty(event.data)),
    ),
  );
  while ($("events").children.length > MOST) $("events").lastChild.remove();
  announce(received === 1 ? `${event.type} arrived` : `${event.type} arrived, ${received} in all`);
}

function pretty(data) {
  const line = JSON.stringify(data);
  return line.length <= 80 ? line : JSON.stringify(data, null, 2);
}

function note(text, kind) {
  $("empty").hidden = true;
  $("events").prepend(h("li", {}, h("p", { class: `marker ${kind}` }, h("time", {}, clock()), text)));
}

async function join(name) {
  tell($("problem"));
  received = reconnects = 0;
  $("count").textContent = $("reconnects").textContent = "0";
  $("cursor").textContent = "none yet";
  setState($("state"), "connecting…", "warn");
  trouble = "";
  let source = $("token").value.trim() || null;
  if (dev) {
    const first = await devToken(name); // here, so that a name that cannot be is refused at once
    source = ({ reason }) => (reason === "start" ? first : devToken(name));
  }
  connection = connect(new URL(`v1/clients/${encodeURIComponent(name)}/events`, root), {
    token: source,
    onEvent: (event) => {
      $("cursor").textContent = connection?.lastEventId || "none yet";
      if (!event.type.startsWith("stream.")) show(event);
      else if (event.type === "stream.degraded") note("The node has lost Redis; it goes on when it is back.", "bad");
      else if (event.type === "stream.recovered") note("The node has Redis again.", "good");
    },
    onOpen: ({ resumed, reconnected }) => {
      if (!reconnected) return;
      $("reconnects").textContent = String((reconnects += 1));
      note(resumed ? "Connected again. What was missed meanwhile arrives now." : "Connected again, from now on.", "good");
    },
    onReset: ({ reason }) => note(`Some events cannot be had any more (${reason}).`, "bad"),
    onStateChange: changed,
    onError: (error) => {
      if (error.final) tell($("problem"), error.code === "unauthorized" ? unwelcome(source, error) : error.message);
      else trouble = error.message;
    },
    onClose: ended,
  });
  controls();
}

/** What to do about a refusal for want of a good token. */
function unwelcome(source, error) {
  if (!source) return "This node lets nobody in without a token: put yours into the field Token, and join again.";
  const said = /\(\d+: (.*)\)/.exec(error.message)?.[1] ?? "";
  return `This node does not take your token. ${said} Put another one into the field Token, and join again.`;
}

function changed({ state, retryInMs }) {
  const [word, kind] = STATES[state];
  setState($("state"), word, kind);
  if (state === "open") trouble = "";
  $("detail").textContent = retryInMs ? `trying again in ${Math.ceil(retryInMs / 1000)} s. ${trouble}` : "";
  if (state === "open" || state === "waiting") announce(word);
}

function ended({ reason }) {
  connection = null;
  if (reason === "closed") setState($("state"), "left");
  else if (!$("problem").textContent || ENDS[reason]) tell($("problem"), ENDS[reason] ?? `The stream has ended (${reason}).`);
  $("detail").textContent = "";
  controls();
}

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  if (connection) return;
  const name = $("name").value.trim();
  try {
    sessionStorage.setItem("sse-gateway-name", name);
  } catch {
    // The name is then typed again.
  }
  $("join-button").disabled = true;
  join(name).catch((error) => {
    setState($("state"), "not joined");
    tell($("problem"), error.message.replace("The subject", "The name"));
    controls();
  });
});
$("leave").addEventListener("click", () => {
  connection?.close();
  $("name").focus();
});
$("again").addEventListener("click", () => connection?.reconnect());
$("clear").addEventListener("click", () => {
  $("events").replaceChildren();
  $("clear").disabled = true;
  $("empty").hidden = false;
});

try {
  $("name").value = sessionStorage.getItem("sse-gateway-name") ?? "";
} catch {
  // As above.
}
$("token-field").hidden = dev;
