// The parser of event streams, after the HTML standard: bytes in, events out.

import { StreamError } from "./errors.js";

export class SSEParser {
  #decoder = new TextDecoder("utf-8"); // drops one byte order mark at the very beginning, as the standard says
  #limit;
  #line = "";
  #afterCr = false;
  #data = [];
  #size = 0;
  #type = "";
  #id;

  constructor({ lastEventId = "", maxEventSize = 1_048_576 } = {}) {
    this.lastEventId = lastEventId;
    this.retry = null;
    this.#id = lastEventId;
    this.#limit = maxEventSize;
  }

  feed(chunk) {
    const text = this.#decoder.decode(chunk, { stream: true });
    const events = [];
    let start = this.#afterCr && text[0] === "\n" ? 1 : 0;
    if (text) this.#afterCr = false;
    const ends = /[\r\n]/g;
    for (ends.lastIndex = start; ends.test(text); ends.lastIndex = start) {
      const end = ends.lastIndex - 1;
      this.#read(this.#line + text.slice(start, end), events);
      this.#line = "";
      start = end + 1;
      if (text[end] === "\r") {
        if (start === text.length) this.#afterCr = true;
        else if (text[start] === "\n") start += 1;
      }
    }
    this.#line += text.slice(start);
    this.#check(this.#line.length);
    return events;
  }

  #check(more) {
    if (this.#size + more > this.#limit) {
      throw new StreamError(
        "too_large",
        `An event has more than ${this.#limit} characters; raise maxEventSize if that is meant.`,
        { final: true },
      );
    }
  }

  #read(line, events) {
    if (line === "") return this.#dispatch(events);
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value[0] === " ") value = value.slice(1);
    this.#check(line.length);
    if (name === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (name === "event") this.#type = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retry = Number(value);
    return undefined;
  }

  #dispatch(events) {
    this.lastEventId = this.#id;
    if (this.#data.length > 0) {
      events.push({ type: this.#type || "message", data: this.#data.join("\n"), lastEventId: this.#id });
    }
    this.#data = [];
    this.#size = 0;
    this.#type = "";
  }
}
