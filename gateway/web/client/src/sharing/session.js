// The members of one tab that have node and user in common, and their way to the other tabs: a BroadcastChannel.
//
// Tabs say to the leader, each with its `tab`: `want` (`need`: the channels and from where on), `again` (connect anew),
// `bye`. The leader says to all tabs, each with its `term`: `who` (a new one asks what is wanted), `have` (`tops`: where it
// stands; `flows`: whether its stream is open), `event` (`channel`, or null for all; `part`; `parsed`), `state` (`change`),
// `end` (`closed`), `gone`. Of two leaders the later term counts.

import { SILENCE_MS } from "../liveness.js";
import { watchTab } from "../page.js";
import { Election } from "./election.js";
import { Leader } from "./leader.js";
import { GATHER_MS } from "./needs.js";
import { lowest } from "./positions.js";

const RENEW_MS = 20_000; // how often a tab repeats what it needs

export class Session {
  static #all = new Map();

  static of(name, subject, silenceMs) {
    if (!Session.#all.has(name)) Session.#all.set(name, new Session(name, subject, silenceMs ?? SILENCE_MS));
    return Session.#all.get(name);
  }

  tab = Math.random().toString(36).slice(2);
  members = new Set();
  subject;
  silenceMs;
  #name;
  #channel = null;
  #election;
  #leader = null; // of this tab, if it leads
  #term = 0; // of the leader that was heard last; what it says of itself:
  #tops = new Map();
  #flows = false;
  #unwatch = null;
  #renewed = 0;
  #silence;
  #gather;

  constructor(name, subject, silenceMs) {
    this.#name = name;
    this.subject = subject;
    this.silenceMs = silenceMs;
    this.#election = new Election(name, (release) => this.#nominate(release));
  }

  join(member) {
    this.members.add(member);
    if (this.#channel === null) this.#open();
  }

  leave(member) {
    if (!this.members.delete(member)) return;
    this.#leader?.left(member);
    if (this.members.size > 0) this.#wish();
    else this.#close();
  }

  #open() {
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#unwatch ??= watchTab(() => this.#suspend(), () => this.#revive());
    this.#election.stand();
  }

  #close() {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#suspend();
    Session.#all.delete(this.#name);
  }

  /** The page is going, perhaps to come back: another tab should lead. */
  #suspend() {
    clearTimeout(this.#silence);
    clearTimeout(this.#gather);
    this.#gather = undefined;
    this.toLeader({ t: "bye" });
    this.#election.withdraw();
    this.#channel?.close();
    this.#channel = null;
    this.#term = 0;
    this.#tops.clear();
  }

  #revive() {
    if (this.#channel !== null) return;
    this.#open();
    for (const member of this.members) member.detach();
  }

  #nominate(release) {
    const term = Math.max(Date.now(), Math.floor(this.#term) + 1) + Math.random();
    const leader = new Leader(this, term, (message) => this.#say(message), () => {
      if (this.#leader === leader) this.#leader = null;
      release();
    });
    this.#leader = leader;
    return leader;
  }

  // Words ---

  /** From the leader of this tab, to its own members and to all other tabs. */
  #say(message) {
    this.#channel?.postMessage(message);
    this.#hear(message);
  }

  toLeader(message) {
    const from = { ...message, tab: this.tab };
    if (this.#leader !== null) this.#leader.hear(from);
    else this.#channel?.postMessage(from);
  }

  #hear(message) {
    if (message?.tab !== undefined) {
      this.#leader?.hear(message);
      return;
    }
    if (typeof message?.term !== "number" || message.term < this.#term) return;
    if (message.term > this.#term) this.#tops.clear();
    this.#term = message.term;
    this.#watchLeader();
    this.#obey(message);
  }

  #obey({ t, tops, flows, channel, part, parsed, change, closed }) {
    if (t === "who") {
      this.#each((member) => member.orphan());
      this.#wish(true);
    } else if (t === "have") {
      this.#tops = new Map(tops);
      this.#flows = flows;
      if (flows) this.#election.succeeded();
      this.#each((member) => member.compare(this.#tops, flows));
      if (Date.now() - this.#renewed > RENEW_MS) this.#wish(true);
    } else if (t === "event") {
      if (channel !== null) this.#tops.set(channel, part);
      this.#each((member) => (member.attached ? member.relay(channel, part, parsed) : member.compare(this.#tops, this.#flows)));
    } else if (t === "state") {
      this.#flows = change.state === "open";
      this.#each((member) => member.carrier(change));
    } else if (t === "gone") this.#each((member) => member.orphan());
    else if (t === "end") this.#each((member) => member.ended(closed));
  }

  #each(call) {
    for (const member of [...this.members]) call(member);
  }

  /** A member's own stream has moved. */
  told(member) {
    if (!member.standing.told) return;
    if (member.standing.isCarried(this.#tops)) member.compare(this.#tops, this.#flows);
    else this.#wish();
  }

  /** Tell the leader what this tab needs, and from where on. */
  #wish(now = false) {
    if (!now) {
      this.#gather ??= setTimeout(() => this.#wish(true), GATHER_MS);
      return;
    }
    clearTimeout(this.#gather);
    this.#gather = undefined;
    this.#renewed = Date.now();
    const need = new Map();
    for (const { standing } of this.members) {
      if (!standing.told) continue;
      for (const channel of standing.channels) lowest(need, channel, standing.parts.get(channel));
    }
    this.toLeader({ t: "want", need: [...need] });
  }

  /** A leader that says nothing any more may be a tab that the browser has stopped: take over. */
  #watchLeader() {
    clearTimeout(this.#silence);
    if (this.#leader !== null || this.silenceMs === 0) return;
    this.#silence = setTimeout(() => {
      this.#each((member) => member.detach());
      if (this.members.size > 0) this.#election.stand(true);
    }, this.silenceMs * (1 + Math.random() / 8));
  }
}
