// What all pages share: making elements, asking the node, telling the reader, copying.

/** The address that every page and call is relative to, also where a proxy puts a prefix before it. */
export const root = new URL("../", import.meta.url);
export const dev = document.documentElement.dataset.mode === "dev";

export const demo = document.documentElement.dataset.demo === "yes";

export const $ = (id) => document.getElementById(id);

/** An element with properties (`class`, `on…`, `data-…`) and children, which are texts or elements. Never takes HTML. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "class" && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Show a sentence in a notice, or hide it. */
export function tell(element, sentence) {
  if (element.textContent !== (sentence ?? "")) element.textContent = sentence ?? "";
  element.hidden = !sentence;
}

export function setState(element, word, kind = "") {
  element.className = `state ${kind}`;
  if (element.textContent !== word) element.textContent = word;
}

let lastSaid = 0;
let waiting = null;
/** Tell screen readers, at most every three seconds: what comes in between is replaced by what is newer. */
export function announce(text) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    lastSaid = Date.now();
    $("announcer").textContent = text;
  }, Math.max(50, lastSaid + 3000 - Date.now()));
}

/** An answer that was none of success. `message` is a sentence for people. */
export class CallError extends Error {
  constructor(message, status, code = "") {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const FULL = "No answer within 8 s. A browser opens six connections to one address, over all tabs: close another tab of these pages, and try again.";

/** Call the node and return its JSON. Raises {@link CallError} with the node's own sentence. */
export async function call(path, { method = "GET", token = "", body, timeoutMs = 8000 } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(new URL(path, root), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (error) {
    if (error.name === "TimeoutError") throw new CallError(FULL, 0, "timeout");
    throw new CallError("The node does not answer. Is it running?", 0, "unreachable");
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said;
  const error = said?.error;
  throw new CallError(error?.message ?? `The node answered ${answer.status}.`, answer.status, error?.code);
}

/** In dev: a token for the asking. */
export async function devToken(subject, scope = "") {
  const query = new URLSearchParams({ sub: subject, ...(scope && { scope }) });
  return (await call(`dev/token?${query}`)).token;
}

export const clock = (date = new Date()) => date.toLocaleTimeString(undefined, { hour12: false });

/** Give each command a button that copies it, with the address that the reader really uses. */
export function copyButtons() {
  const served = document.documentElement.dataset.origin;
  const used = root.href.replace(/\/$/, "");
  for (const command of document.querySelectorAll(".command")) {
    const code = command.querySelector("code");
    if (served) code.textContent = code.textContent.replaceAll(served, used);
    const button = h("button", { type: "button", class: "small" }, "Copy");
    button.setAttribute("aria-label", `Copy: ${code.textContent.slice(0, 60)}`);
    button.addEventListener("click", () => copy(code, button));
    command.append(button);
  }
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    announce("Copied");
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Press Ctrl+C";
    announce("The command is selected; press Control C.");
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
