// One dialect's pane: what its front end shows, marks where the connection was lost and went on, and behind a switch
// the frames as they arrive.
import { fields, RawStream } from "./frames.js";
import { Sight } from "./sight.js";
import { NOTHING } from "./sights.js";
import { announce, clock, h, setState } from "./ui.js";

const MOST = 300;
const LONGEST = 1200;
/** A picture inside of an event, of which the beginning will do. */
const PICTURE = /(data:[\w/+.-]+;base64,[\w+/]{8})[\w+/=]+/g;
const AT_ONCE_MS = 300;
/** What a node says of the connection itself: nothing that could have been missed. */
const OWN = /^event: ?(stream\.|__)|^data: ?\{"type":"connected"/m;

export class Pane {
  #stream = null;
  #caught = 0;
  #resumed = 0;

  /** Told what this front end shows, whenever that has changed. */
  onSight = () => {};

  constructor(dialect) {
    this.dialect = dialect;
    this.seen = NOTHING;
    this.sight = new Sight(dialect.name, dialect.shows, dialect.bar);
    this.state = h("span", { class: "state" }, "no job yet");
    this.resumes = h("span", { class: "hint" });
    this.path = h("code", { class: "path" });
    this.frames = h("div", { class: "frames", tabindex: "0", role: "region", "aria-label": `Connection and frames of ${dialect.name}` });
    const title = h("h3", { id: `pane-${dialect.name}` }, dialect.name);
    this.element = h(
      "section",
      { class: "pane", "aria-labelledby": title.id },
      h("header", {}, h("div", { class: "row end" }, title, h("span", { class: "row" }, this.resumes, this.state)), h("span", { class: "hint" }, dialect.about), this.path),
      this.sight.element,
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
    this.seen = NOTHING;
    this.sight.clear();
    const why = this.dialect.why?.(job);
    this.element.classList.toggle("idle", Boolean(why));
    if (why) {
      this.path.textContent = "";
      this.sight.clear(why);
      return setState(this.state, "not for this job");
    }
    const url = new URL(this.dialect.url(job), base);
    this.path.replaceChildren(...breakable(`GET ${url.pathname}${url.search}`));
    setState(this.state, "connecting…", "warn");
    this.#stream = new RawStream(url, {
      token,
      final: this.dialect.final,
      on: {
        frame: (text, found, says) => this.#show(text, found, says),
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

  #show(text, found, says) {
    if (found.data !== undefined && !OWN.test(text)) this.#caught += 1;
    const frame = h("pre");
    for (const line of text.split("\n")) {
      const [name] = Object.keys(fields(line));
      const short = line.replace(PICTURE, "$1…");
      const shown = short.length > LONGEST ? `${short.slice(0, LONGEST)}… (${line.length} characters)` : short;
      frame.append(h("span", { class: `f-${name}` }, ...breakable(shown)), "\n");
    }
    this.#add(frame);
    if (found.event === "stream.reset") this.#mark("Something was lost that cannot be replayed: the state begins anew", "bad");
    if (found.event === "stream.degraded") this.#mark("The node has lost Redis", "bad");
    if (found.event === "stream.recovered") this.#mark("The node has Redis again", "good");
    const next = this.dialect.see(this.seen, says);
    if (next === this.seen) return;
    this.sight.show((this.seen = next));
    this.onSight(next);
  }

  #mark(text, kind) {
    this.#add(h("p", { class: `marker ${kind}` }, text));
  }

  #add(element) {
    const box = this.frames;
    const atEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 40;
    box.append(element);
    while (box.children.length > MOST) box.firstChild.remove();
    if (atEnd) this.toEnd();
  }

  toEnd() {
    this.frames.scrollTop = this.frames.scrollHeight;
  }
}

/** A text that may go on in a new line after its commas and slashes, not in mid-word. */
function breakable(text) {
  return text.split(/(?<=[,/?&])/).flatMap((part) => [part, h("wbr")]);
}
