// Carries the channels of all tabs on one stream, the carrier, and repeats what comes.

import { Credentials } from "../credentials.js";
import { Stream } from "../stream.js";
import { target } from "../targets.js";
import { GATHER_MS, Needs } from "./needs.js";
import { Tags } from "./positions.js";

const SETTLE_MS = 200; // how long it waits for the positions of the tabs
const BEAT_MS = 10_000;
const REFUSED = new Set(["not_found", "forbidden", "bad_request"]);

export class Leader {
  #session;
  #post;
  #over;
  #needs;
  #carrier = null;
  #owner = null; // the member whose credentials the carrier uses
  #tops = new Map(); // where the carrier stands, by channel
  #tags = new Tags();
  #proven = new Set(); // channels that a carrier has been let read
  #flows = false;
  #told = "open";
  #reset = null; // the channel of a `stream.reset`, until an event says whose it is itself
  #settled = false;
  #timers = {};
  #stopped = false;

  /** `post` says something to all tabs; `over` is called once, when it does not lead any more. */
  constructor(session, term, post, over) {
    this.#session = session;
    this.#post = (message) => post({ ...message, term });
    this.#over = over;
    this.#needs = new Needs(session.tab);
  }

  start() {
    this.#timers.beat = setInterval(() => this.#beat(), Math.min(BEAT_MS, this.#session.silenceMs / 4 || BEAT_MS));
    this.#timers.settle = setTimeout(() => {
      this.#settled = true;
      this.#arrange();
    }, SETTLE_MS);
    this.#post({ t: "who" });
  }

  resign() {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timers.beat);
    clearTimeout(this.#timers.settle);
    clearTimeout(this.#timers.gather);
    this.#carrier?.stop();
    this.#carrier = null;
    this.#post({ t: "gone" });
    this.#over();
  }

  hear({ t, tab, need }) {
    if (this.#stopped) return;
    if (t === "want") this.#needs.set(tab, need);
    else if (t === "bye") this.#needs.drop(tab);
    else if (t === "again") this.#carrier?.reconnect();
    if (t !== "again") this.#soon();
  }

  /** A member of this tab has gone; if the carrier used its credentials, it takes others. */
  left(member) {
    if (this.#owner !== member) return;
    this.#owner = null;
    this.#soon();
  }

  #soon() {
    if (this.#settled) this.#timers.gather ??= setTimeout(() => this.#arrange(), GATHER_MS);
  }

  #beat() {
    this.#have();
    this.#soon();
  }

  #have() {
    this.#post({ t: "have", tops: [...this.#tops], flows: this.#flows });
  }

  /** Open the carrier anew if it does not carry exactly what is needed. */
  #arrange() {
    clearTimeout(this.#timers.gather);
    this.#timers.gather = undefined;
    if (this.#stopped) return;
    const wanted = this.#needs.wanted(this.#tops);
    const same = wanted.size === this.#tops.size && [...wanted.keys()].every((channel) => this.#tops.has(channel));
    if (!same || (wanted.size > 0 && (this.#carrier === null || this.#owner === null))) this.#carry(wanted);
    this.#have();
  }

  #carry(wanted) {
    this.#carrier?.stop();
    this.#carrier = null;
    this.#flows = false;
    this.#reset = null;
    this.#tops = wanted;
    if (wanted.size > 0 && !this.#takeOver([...wanted.keys()])) this.#open(wanted);
  }

  /**
   * A member's own stream of exactly these channels goes on as the carrier: whoever stands elsewhere finds that out, and
   * keeps a stream of its own for a while.
   */
  #takeOver(channels) {
    for (const member of this.#session.members) {
      const { standing } = member;
      const exact = standing.told && standing.channels.length === channels.length && channels.every((name) => standing.channels.includes(name));
      const given = exact ? member.give(this.#listener()) : null;
      if (given === null) continue;
      this.#owner = member;
      this.#carrier = given;
      this.#tags = standing.tags;
      this.#tops = new Map(standing.parts);
      this.#opened();
      this.#state({ state: "open" });
      return true;
    }
    return false;
  }

  #open(wanted) {
    const [owner = null] = this.#session.members;
    this.#owner = owner;
    if (owner === null) return;
    const spec = target([...wanted.keys()], { baseUrl: owner.node });
    const credentials = new Credentials(owner.options, spec);
    if (this.#session.subject !== undefined) credentials.expect(this.#session.subject);
    const options = { ...owner.options, closeWhenHidden: false };
    this.#carrier = new Stream(spec, options, credentials, this.#listener(), [...wanted.values()].join(","));
  }

  #listener() {
    return {
      event: (event, parsed) => this.#event(event, parsed),
      open: () => {},
      state: (change) => this.#state(change),
      error: (error) => this.#error(error),
      end: (closed) => this.#end(closed),
      beat: () => this.#have(),
    };
  }

  #opened() {
    for (const channel of this.#tops.keys()) this.#proven.add(channel);
    this.#flows = true;
  }

  #event(event, { type, data }) {
    if (event.type === "stream.close") return;
    if (event.type === "stream.open") {
      this.#tags.learn(event.data?.channels, event.id);
      this.#reset = null;
      this.#opened();
      this.#move(event.id);
      this.#have();
      return;
    }
    this.#move(event.id);
    const channel = this.#channelOf(event);
    if (channel === undefined) return;
    this.#post({ t: "event", channel, part: channel === null ? "" : this.#tops.get(channel), parsed: { type, data } });
  }

  #move(id) {
    for (const [channel, part] of this.#tags.split(id)) if (this.#tops.has(channel)) this.#tops.set(channel, part);
  }

  /** Whose event it is; null: everybody's. States say it by what stands before them. */
  #channelOf({ type, channel, data }) {
    if (channel !== undefined) {
      this.#reset = null;
      return channel;
    }
    if (type === "stream.reset") this.#reset = data?.channel;
    else if (type !== "job.state") return null;
    const name = this.#reset ?? [`job:${data?.job_id}`, `user:${data?.owner}`].find((each) => this.#tops.has(each));
    return this.#tops.has(name) ? name : undefined;
  }

  #state({ state, retryInMs, reason }) {
    if (state === this.#told || (state === "connecting" && this.#told === "open") || state === "closed") return;
    this.#told = state;
    this.#flows = state === "open";
    this.#post({ t: "state", change: { state, retryInMs, reason } });
  }

  /** What ends the carrier is between the leader and the node; each member finds out for itself what it means for it. */
  #error(error) {
    if (!error.final) for (const member of this.#session.members) member.trouble(error);
  }

  /** The carrier has ended for good. */
  #end(closed) {
    this.#carrier = null;
    this.#flows = false;
    const code = closed.error?.code;
    if (closed.reason === "finished" || closed.reason === "ended") {
      this.#needs.finish([...this.#tops.keys()]);
      this.#tops = new Map();
      this.#have();
    } else if (code === "disconnected") {
      this.#post({ t: "end", closed: { reason: code, error: { message: closed.error.message } } });
    } else if (REFUSED.has(code)) {
      const fresh = [...this.#tops.keys()].filter((channel) => !this.#proven.has(channel));
      const refused = fresh.length > 0 ? fresh : [...this.#tops.keys()];
      this.#needs.refuse(refused);
      for (const channel of refused) this.#tops.delete(channel);
      this.#arrange();
    } else {
      this.resign();
      for (const member of [...this.#session.members]) member.detach();
    }
  }
}
