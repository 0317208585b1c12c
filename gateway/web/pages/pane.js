// One dialect's pane: its frames as they arrive, and marks where the connection was lost and went on.
import { fields, RawStream } from "./frames.js";
import { announce, clock, h, setState } from "./ui.js";

const MOST = 300;
const LONGEST = 320;
const AT_ONCE_MS = 300;
/** What a node says of the connection itself: nothing that could have been missed. */
const OWN = /^event: ?(stream\.|__)|^data: ?\{"type":"connected"/m;

export class Pane {
  #stream = null;
  #caught = 0;
  #resumed = 0;

  constructor(dialect, onFrame) {
    this.dialect = dialect;
    this.onFrame = onFrame;
    this.state = h("span", { class: "state" }, "idle");
    this.resumes = h("span", { class: "hint" });
    this.path = h("code", { class: "path" });
    this.frames = h("div", { class: "frames", tabindex: "0", role: "region", "aria-label": `Frames of ${dialect.name}` });
    const title = h("h2", { id: `pane-${dialect.name}` }, dialect.name);
    this.element = h(
      "section",
      { class: "pane", "aria-labelledby": title.id },
      h("header", {}, h("div", { class: "row end" }, title, h("span", { class: "row" }, this.resumes, this.state)), h("span", { class: "hint" }, dialect.about), this.path),
      this.frames,
    );
  }

  get running() {
    return this.#stream !== null;
  }

  follow(job, base, token) {
    this.stop();
    this.frames.replaceChildren();
    this.resumes.textContent = "";
    this.#resumed = 0;
    const why = this.dialect.why?.(job);
    this.element.classList.toggle("idle", Boolean(why));
    if (why) {
      this.path.textContent = "";
      this.#mark(why, "");
      return setState(this.state, "not for this job");
    }
    const url = new URL(this.dialect.url(job), base);
    this.path.textContent = `GET ${url.pathname}${url.search}`;
    setState(this.state, "connecting…", "warn");
    this.#stream = new RawStream(url, {
      token,
      final: this.dialect.final,
      on: {
        frame: (text, found) => this.#show(text, found),
        opened: (cursor) => this.#opened(cursor),
        lost: (reason, waitMs) => this.#lost(reason, waitMs),
        ended: (reason) => this.#ended(reason),
      },
    });
  }

  cut() {
    this.#stream?.cut();
  }

  pause() {
    this.#stream?.pause();
  }

  resume() {
    this.#stream?.resume();
  }

  stop() {
    this.#stream?.close();
    this.#stream = null;
  }

  /** Mark what happened elsewhere, where this pane is still listening. */
  note(text, kind) {
    if (this.#stream) this.#mark(`${clock()} ${text}`, kind);
  }

  #opened(cursor) {
    setState(this.state, "open", "good");
    if (!cursor) return;
    this.#mark(`Connected again, resumed after cursor ${cursor}`, "good");
    this.resumes.textContent = `resumed ${(this.#resumed += 1)} ×`;
    this.#caught = 0;
    setTimeout(() => {
      const many = this.#caught === 1 ? "1 frame" : `${this.#caught} frames`;
      const said = this.#caught ? `${many} arrived at once: what was missed` : "Nothing was missed";
      if (this.#stream) this.#mark(said, "good");
      this.#caught = -Infinity;
    }, AT_ONCE_MS);
    announce(`${this.dialect.name} connected again`);
  }

  #lost(reason, waitMs) {
    setState(this.state, "lost", "bad");
    this.#mark(`${clock()} Disconnected: ${reason}.${waitMs ? ` Again in ${(waitMs / 1000).toFixed(1)} s.` : ""}`, "bad");
    announce(`${this.dialect.name} disconnected`);
  }

  #ended(reason) {
    this.#stream = null;
    setState(this.state, "finished");
    this.#mark(`The end: ${reason}.`, "");
  }

  #show(text, found) {
    if (found.data !== undefined && !OWN.test(text)) this.#caught += 1;
    const frame = h("pre");
    for (const line of text.split("\n")) {
      const [name] = Object.keys(fields(line));
      const shown = line.length > LONGEST ? `${line.slice(0, LONGEST)}… (${line.length} characters)` : line;
      frame.append(h("span", { class: `f-${name}` }, shown), "\n");
    }
    this.#add(frame);
    if (found.event === "stream.reset") this.#mark("Something was lost that cannot be replayed: the state begins anew", "bad");
    if (found.event === "stream.degraded") this.#mark("The node has lost Redis", "bad");
    if (found.event === "stream.recovered") this.#mark("The node has Redis again", "good");
    this.onFrame(found);
  }

  #mark(text, kind) {
    this.#add(h("p", { class: `marker ${kind}` }, text));
  }

  #add(element) {
    const box = this.frames;
    const atEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 40;
    box.append(element);
    while (box.children.length > MOST) box.firstChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
}
