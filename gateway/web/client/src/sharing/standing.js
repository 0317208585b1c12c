// Where a member stands in each of its channels, and how that compares with where the leader stands (`tops`).

import { Tags, covers, position } from "./positions.js";

export class Standing {
  channels = [];
  parts = new Map();
  tags = new Tags();

  /** A stream of these channels is open; its cursor is `id`. */
  opened(channels, id) {
    this.channels = channels ?? [];
    this.tags.learn(channels, id);
  }

  move(id) {
    for (const [channel, part] of this.tags.split(id)) this.parts.set(channel, part);
  }

  get cursor() {
    return this.channels.map((channel) => this.parts.get(channel)).join(",");
  }

  /** Whether all its channels stand somewhere, so that another stream can go on from there. */
  get told() {
    return this.channels.length > 0 && this.channels.every((channel) => this.parts.has(channel) && position(this.parts.get(channel)) !== null);
  }

  isCarried(tops) {
    return this.channels.every((channel) => tops.has(channel));
  }

  /** Whether nothing is lacking up to `tops`, of all channels. */
  isWhole(tops) {
    return this.isCarried(tops) && this.channels.every((channel) => this.#covers(channel, tops));
  }

  /** Whether something is lacking for sure. */
  isBehind(tops) {
    return this.isCarried(tops) && this.channels.some((channel) => position(tops.get(channel)) !== null && !this.#covers(channel, tops));
  }

  #covers(channel, tops) {
    return this.parts.has(channel) && covers(this.parts.get(channel), tops.get(channel));
  }

  /** What an event of `channel` is here: the `next` one, an `old` one, or one after a `hole`. */
  place(channel, { epoch, seq }) {
    const here = seq === undefined ? null : position(this.parts.get(channel));
    if (here === null) return "next";
    const known = here.seq === 0 || here.epoch === epoch;
    if (known && seq <= here.seq) return "old";
    return known && seq === here.seq + 1 ? "next" : "hole";
  }
}
