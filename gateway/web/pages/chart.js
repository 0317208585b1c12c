// A small line chart as SVG: newest value right, its numbers beside it as text.
const NS = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** The path of a line through values on a field of 100 x 40, or of the area below it; null leaves a gap. Pure. */
export function path(values, top, slots, filled = false) {
  const place = (index) => (((slots - values.length + index) * 100) / (slots - 1)).toFixed(1);
  let text = "";
  let begin = null;
  for (let index = 0; index <= values.length; index += 1) {
    const value = values[index] ?? null;
    if (value !== null) {
      text += `${begin === null ? "M" : "L"}${place(index)} ${(39 - (value / top) * 37).toFixed(1)}`;
      begin ??= index;
    } else if (begin !== null) {
      if (filled) text += `V39.5H${place(begin)}Z`;
      begin = null;
    }
  }
  return text;
}

/** A round number at or above the largest value. Pure. */
export function ceiling(values, least) {
  const most = Math.max(least, ...values.filter((value) => value !== null));
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((factor) => factor * unit).find((each) => each >= most);
}

export class Chart {
  /** `words` turns a value into text; `least` is the smallest top of the scale. */
  constructor(place, { label, words, least = 1, slots = 60 }) {
    this.values = [];
    this.options = { label, words, least, slots };
    this.svg = shape("svg", { class: "chart", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img" });
    this.area = shape("path", { class: "area" });
    this.line = shape("path", { class: "line" });
    this.svg.append(shape("path", { class: "base", d: "M0 39.5H100" }), this.area, this.line);
    this.top = document.createElement("span");
    const scale = document.createElement("div");
    scale.className = "scale";
    const past = document.createElement("span");
    past.textContent = "2 min ago";
    scale.append(past, this.top);
    place.append(this.svg, scale);
  }

  add(value) {
    const { label, words, least, slots } = this.options;
    this.values.push(value);
    if (this.values.length > slots) this.values.shift();
    const top = ceiling(this.values, least);
    const line = path(this.values, top, slots);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", path(this.values, top, slots, true));
    this.top.textContent = `scale to ${words(top)}`;
    this.svg.setAttribute("aria-label", `${label}: now ${value === null ? "unknown" : words(value)}`);
  }
}
