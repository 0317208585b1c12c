// Shows what a front end makes of a job: a bar with what is said, files, pictures, notices.
import { h } from "./ui.js";

export const STATUS = {
  pending: ["pending", "warn"],
  active: ["active", "warn"],
  completed: ["completed", "good"],
  failed: ["failed", "bad"],
  cancelled: ["cancelled", "bad"],
};

export class Sight {
  #pictures = "";

  /** `shows` says what will be seen here; `bar`: whether this front end has one. */
  constructor(name, shows, bar = true) {
    this.shows = shows;
    this.bar = h("progress", { max: "100", value: "0", "aria-label": `Progress as ${name} has it` });
    this.said = h("p", { class: "said" });
    this.list = h("ul", { class: "files" });
    this.pictures = h("p", { class: "row pictures" });
    this.element = h("div", { class: "sight" }, ...(bar ? [this.bar] : []), this.said, this.list, this.pictures);
    this.clear();
  }

  /** Say what will be here. */
  clear(text = this.shows) {
    this.bar.hidden = true;
    this.said.replaceChildren(h("span", { class: "soft" }, text));
    this.list.replaceChildren();
    this.#show([]);
  }

  show({ status, progress, message, files, pictures, notes }) {
    const [word, kind] = STATUS[status] ?? [status, ""];
    this.bar.hidden = false;
    this.bar.value = status === "completed" ? 100 : progress;
    if (!notes.length) this.said.replaceChildren(h("span", { class: `state ${kind}` }, word), " ", h("span", { class: "soft" }, message));
    else this.said.replaceChildren();
    const rows = files.map((file) => h("li", {}, h("span", { class: "name" }, file.name), h("span", { class: "soft" }, `${file.status ?? ""} ${file.progress ?? 0} %`)));
    this.list.replaceChildren(...rows, ...notes.map((note) => h("li", {}, note)));
    this.#show(pictures);
  }

  /** Pictures that are there already stay: a new element would flicker. */
  #show(sources) {
    const all = sources.join(" ");
    if (all === this.#pictures) return;
    this.#pictures = all;
    this.pictures.replaceChildren(...sources.map((src) => h("img", { class: "result", src, alt: "A picture that the job made" })));
  }
}
