// The table of clients: pages, search by the beginning of the name, choosing some, sending one away.
import { $, announce, h, tell } from "./ui.js";

const ROWS = 20;
const MOST_PAGES = 5;

/** The name in front of everything that begins with `prefix`; null for "from the start". Pure. */
export function cursorBefore(prefix) {
  if (!prefix) return null;
  let code = prefix.codePointAt(prefix.length - 1) - 1;
  while (code > 32 && ",{}".includes(String.fromCodePoint(code))) code -= 1;
  return code > 32 && code < 127 ? `${prefix.slice(0, -1)}${String.fromCodePoint(code)}~~~~` : null;
}

export class Clients {
  #ask;
  #rows = new Map();
  #cursors = [null];
  #next = null;
  #prefix = "";
  chosen = new Set();
  /** Called when the choice has changed. */
  onChoice = () => {};
  /** Called with a name that a message shall go to. */
  onPick = () => {};

  constructor(ask) {
    this.#ask = ask;
    $("previous").addEventListener("click", () => this.#turn(-1));
    $("next").addEventListener("click", () => this.#turn(1));
    $("search").addEventListener("submit", (event) => event.preventDefault());
    $("query").addEventListener("input", () => this.#search($("query").value.trim()));
    $("all").addEventListener("change", () => {
      for (const [name, row] of this.#rows) this.#choose(name, row, $("all").checked);
    });
  }

  get #start() {
    return this.#cursors.at(-1);
  }

  async refresh() {
    const prefix = this.#prefix;
    const { found, next } = await this.#read(this.#start ?? cursorBefore(prefix), prefix);
    if (prefix !== this.#prefix) return;
    this.#next = next;
    this.#show(found);
  }

  /** Whether a client of this name is connected now, at any node. */
  async has(name) {
    const { found } = await this.#read(cursorBefore(name), name);
    return found.some((each) => each.client_id === name);
  }

  /** Rows that begin with the prefix; reads on, within bounds, where other names lie before them. */
  async #read(cursor, prefix) {
    const found = [];
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const query = new URLSearchParams({ limit: String(ROWS), ...(cursor && { cursor }) });
      const answer = await this.#ask(`v1/clients?${query}`);
      for (const each of answer.clients) if (each.client_id.startsWith(prefix)) found.push(each);
      const last = answer.clients.at(-1)?.client_id ?? "";
      cursor = answer.next;
      const passed = last > prefix && !last.startsWith(prefix);
      if (cursor === null || passed) return { found: found.slice(0, ROWS), next: null };
      if (found.length >= ROWS) return { found: found.slice(0, ROWS), next: found[ROWS - 1].client_id };
    }
    return { found, next: cursor };
  }

  #show(found) {
    const names = new Set(found.map((each) => each.client_id));
    for (const [name, row] of this.#rows) {
      if (!names.has(name)) {
        row.element.remove();
        this.#rows.delete(name);
      }
    }
    let before = null;
    for (const each of found) {
      let row = this.#rows.get(each.client_id);
      if (!row) this.#rows.set(each.client_id, (row = this.#row(each.client_id)));
      // Only what changes is touched: a row that is moved would lose the keyboard's focus.
      const place = before ? before.nextSibling : $("clients").firstChild;
      if (place !== row.element) $("clients").insertBefore(row.element, place);
      before = row.element;
      row.streams.textContent = each.connections;
      row.nodes.textContent = each.nodes.length;
      row.nodes.title = each.nodes.join(", ");
    }
    const nobody = this.#prefix ? `Nobody is connected whose name begins with ${this.#prefix}.` : "Nobody is connected. Open the client page in another tab, and join.";
    tell($("no-clients"), found.length ? "" : nobody);
    $("previous").disabled = this.#cursors.length < 2;
    $("next").disabled = this.#next === null;
    const many = found.length === 1 ? "1 client" : `${found.length} clients`;
    $("page-info").textContent = this.#cursors.length > 1 || this.#next !== null ? `page ${this.#cursors.length}, ${many}` : many;
  }

  #row(name) {
    const box = h("input", { type: "checkbox", "aria-label": `Choose ${name}` });
    box.checked = this.chosen.has(name);
    const streams = h("td", { class: "number" });
    const nodes = h("td", { class: "number" });
    const send = h("button", { type: "button", class: "small", "aria-label": `Send to ${name}`, onclick: () => this.onPick(name) }, "Send");
    const away = h("button", { type: "button", class: "small danger", "aria-label": `Disconnect ${name}`, onclick: () => this.#disconnect(name) }, "Disconnect");
    const row = { box, streams, nodes };
    row.element = h("tr", {}, h("td", {}, box), h("td", { class: "name" }, name), streams, nodes, h("td", {}, h("span", { class: "row" }, send, away)));
    box.addEventListener("change", () => this.#choose(name, row, box.checked));
    return row;
  }

  #choose(name, row, yes) {
    row.box.checked = yes;
    if (yes) this.chosen.add(name);
    else this.chosen.delete(name);
    this.onChoice();
  }

  #turn(by) {
    if (by > 0) this.#cursors.push(this.#next);
    else this.#cursors.pop();
    this.#again();
  }

  #search(prefix) {
    this.#prefix = prefix;
    this.#cursors = [null];
    this.#again();
  }

  #again() {
    $("all").checked = false;
    this.refresh().catch((error) => tell($("problem"), error.message));
  }

  async #disconnect(name) {
    const dialog = $("confirm");
    $("confirm-text").textContent = `All streams of ${name} end, on every node. Its pages do not come back by themselves, but may join again.`;
    $("revoke").checked = false;
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "yes") return;
    try {
      const query = $("revoke").checked ? "?revoke=true" : "";
      const answer = await this.#ask(`v1/clients/${encodeURIComponent(name)}${query}`, { method: "DELETE" });
      const many = answer.disconnected === 1 ? "1 stream" : `${answer.disconnected} streams`;
      const said = `${name} was disconnected (${many})${answer.revoked ? ", and its tokens are refused from now on" : ""}.`;
      tell($("sent"), said);
      announce(said);
      tell($("problem"));
    } catch (error) {
      tell($("problem"), `${name} was not disconnected. ${error.message}`);
    }
  }
}

for (const button of document.querySelectorAll("#confirm button")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    $("confirm").close(button.value);
  });
}
