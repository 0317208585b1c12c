// What the tabs need of their leader: channels, and from where on.

import { MAX_CHANNELS } from "../targets.js";
import { lowest } from "./positions.js";

export const GATHER_MS = 50; // wishes that come together are served together
const FORGET_MS = 150_000; // a tab that has said nothing for so long is gone

export class Needs {
  #own;
  #tabs = new Map();
  #refused = new Set();

  /** `own` is the tab that never goes. */
  constructor(own) {
    this.#own = own;
  }

  set(tab, need) {
    this.#tabs.set(tab, { need: new Map(need), at: Date.now() });
  }

  drop(tab) {
    this.#tabs.delete(tab);
  }

  /** The node does not let these channels be read. */
  refuse(channels) {
    for (const channel of channels) this.#refused.add(channel);
  }

  /** These channels have come to an end. */
  finish(channels) {
    for (const { need } of this.#tabs.values()) for (const channel of channels) need.delete(channel);
  }

  /** As many channels as a stream may have: each at its place in `tops` where it has one, else where it is needed first. */
  wanted(tops) {
    const wanted = new Map();
    for (const [tab, { need, at }] of this.#tabs) {
      if (Date.now() - at > FORGET_MS && tab !== this.#own) this.#tabs.delete(tab);
      else for (const [channel, part] of need) if (!this.#refused.has(channel)) lowest(wanted, channel, part);
    }
    for (const channel of wanted.keys()) if (tops.has(channel)) wanted.set(channel, tops.get(channel));
    return new Map([...wanted].slice(0, MAX_CHANNELS));
  }
}
