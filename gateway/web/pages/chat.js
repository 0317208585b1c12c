// The chat page: asks, shows the answer while it is written, and finds it again after a reload or in another window.
import { lab } from "./lab.js";
import { messageView } from "./message.js";
import { followAnswer } from "./sse-client.js";
import { $, announce, call, clock, demo, devToken, h, root, setState, tell } from "./ui.js";

const USER = "chat-page";
const MOST = 30;
const STATES = { completed: "ready", failed: "failed", cancelled: "stopped" };

const chat = location.hash.slice(1) || crypto.randomUUID();
const KEPT = `sse-gateway-chat-${chat}`;
let token = "";
let running = null;

/** What was asked, and which job answers it; all windows of this browser share it. Answers themselves come from the node. */
let turns = kept();

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? [];
  } catch {
    return [];
  }
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(turns));
  } catch {
    // Then a reload shows the newest answer alone.
  }
}

function note(text, kind = "") {
  $("nothing").hidden = true;
  $("seen").prepend(h("li", {}, h("p", { class: `marker ${kind}` }, h("time", {}, clock()), text)));
  while ($("seen").children.length > MOST) $("seen").lastChild.remove();
}

function toEnd() {
  $("messages").scrollTop = $("messages").scrollHeight;
}

function asked(question) {
  $("messages").append(h("li", { class: "mine" }, h("span", { class: "hidden" }, "You: "), question));
  toEnd();
}

function answering(on) {
  $("stop").hidden = !on;
  $("cut").disabled = !on;
  for (const button of [$("send"), ...$("ideas").children]) button.disabled = on;
}

/** Show a job's answer; `again`: it may be found in the middle. */
function follow(turn, { again = false } = {}) {
  const view = messageView();
  $("messages").append(view.element);
  let found = !again;
  let cut = false;
  const connection = followAnswer(turn.job, {
    baseUrl: root,
    token: async () => (token = await devToken(USER)),
    onAnswer: (answer) => {
      if (!found && answer.status === "active") {
        const length = answer.text.length;
        note(length ? `Found the answer in the middle: ${length} characters are there at once.` : "Found the answer before its first word.", "good");
      }
      found = true;
      view.show(answer);
      toEnd();
    },
    onStateChange: ({ state }) => {
      if (state === "waiting") {
        cut = true;
        note("The connection was lost.", "bad");
        setState($("state"), "connection lost", "warn");
      }
    },
    onOpen: () => {
      if (cut) note("Connected again; it goes on behind the last piece.", "good");
      if (running === connection) setState($("state"), "writing…", "warn");
    },
    onReset: () => note("Redis had lost something: the answer is told anew.", "bad"),
    onClose: ({ reason, error }) => {
      const { status } = view;
      if (error || !status) view.gone(error?.message ?? `The answer cannot be had any more (${reason}).`);
      if (running !== connection) return;
      running = null;
      answering(false);
      setState($("state"), STATES[status] ?? "ready", status === "failed" ? "bad" : "");
      if (status) announce(`The answer is ${STATES[status] === "ready" ? "complete" : STATES[status]}`);
    },
  });
  running = connection;
  answering(true);
  setState($("state"), "connecting…", "warn");
}

async function ask(question) {
  tell($("problem"));
  asked(question);
  answering(true);
  setState($("state"), "asking…", "warn");
  try {
    token ||= await devToken(USER);
    // As useChat asks; the answer to it leads to the stream, which this page reads in the native words.
    const messages = [{ id: crypto.randomUUID(), role: "user", parts: [{ type: "text", text: question }] }];
    const job = await leadsTo("api/chat", { id: chat, messages, trigger: "submit-message" });
    turns = [...kept(), { question, job }].slice(-MOST);
    keep();
    follow(turns.at(-1));
  } catch (error) {
    answering(false);
    setState($("state"), "ready");
    tell($("problem"), error.message);
  }
}

/** The answer's job, by the address that the question leads to. */
async function leadsTo(path, body) {
  const leave = new AbortController();
  const answer = await fetch(new URL(path, root), {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: leave.signal,
  });
  const job = new URL(answer.url).searchParams.get("answer");
  if (answer.ok && job) {
    leave.abort();
    return job;
  }
  const said = await answer.json().catch(() => null);
  throw new Error(said?.error?.message ?? `The node answered ${answer.status}.`);
}

async function stop() {
  try {
    token = await devToken(USER);
    await call(`api/chat/${encodeURIComponent(chat)}/stop`, { method: "POST", token, body: {} });
    note("Stopped: the worker hears of it at its next word.");
  } catch (error) {
    tell($("problem"), error.message);
  }
}

function show() {
  $("messages").replaceChildren();
  const last = turns.at(-1);
  for (const turn of turns) {
    asked(turn.question);
    follow(turn, { again: turn === last });
  }
}

if (demo) {
  history.replaceState(null, "", `#${chat}`);
  $("again").href = `./chat#${chat}`;
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const question = $("question").value.trim();
    if (!question || $("send").disabled) return;
    $("question").value = "";
    ask(question);
  });
  for (const idea of $("ideas").children) {
    idea.addEventListener("click", () => ask(idea.textContent));
  }
  $("stop").addEventListener("click", stop);
  $("cut").addEventListener("click", () => running?.reconnect());
  $("reload").addEventListener("click", () => location.reload());
  $("new-chat").addEventListener("click", () => {
    location.hash = crypto.randomUUID();
  });
  addEventListener("hashchange", () => location.reload());
  addEventListener("storage", ({ key }) => {
    // Another window has asked something.
    if (key !== KEPT) return;
    const there = kept();
    for (const turn of there.slice(turns.length)) {
      note("Asked in another window.");
      asked(turn.question);
      follow(turn);
    }
    turns = there;
  });
  lab(note);
  show();
}
