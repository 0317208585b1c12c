// One `connect` with `shared`: with a stream of its own until the leader's carries it. To its Connection it is a Stream.
//
// A member always begins with a stream of its own, which shows that its channels may be read and brings their newest
// state. Then it asks the tabs' leader to carry its channels. The leader has one stream for the channels of all tabs (the
// carrier) and repeats its events on a BroadcastChannel, with the position of each; as soon as a member has everything up
// to the leader's position, it is attached and lets its own stream go. From then on it takes an event only if that is the
// next one: what it has already is dropped, and a hole makes it go back to a stream of its own, from its own cursor, until
// it has caught up. So neither a late tab nor the death of a leader loses or repeats an event, and nothing has to be
// buffered. Tokens never leave their tab: the carrier uses one of the leading tab.

import { unwrapped } from "../events.js";
import { Stream } from "../stream.js";
import { nodeOf } from "../targets.js";
import { userOf } from "./eligibility.js";
import { Finished } from "./finished.js";
import { Session } from "./session.js";
import { Standing } from "./standing.js";

const GRACE_MS = 2000; // how long it waits for a new leader before it helps itself

export class Member {
  state = "connecting";
  standing = new Standing();
  options;
  #spec;
  #credentials;
  #listener;
  #stream = null; // its own; null while it is attached
  #session = null;
  #finished = new Finished();
  #grace;
  #news = false; // the stream that has opened is what the user waits for
  #shown = false;

  constructor(spec, options, credentials, listener, lastEventId) {
    this.#spec = spec;
    this.options = options;
    this.#credentials = credentials;
    this.#listener = listener;
    this.#alone(lastEventId);
  }

  get #stopped() {
    return this.state === "closed";
  }

  get attached() {
    return this.#stream === null && !this.#stopped;
  }

  /** The node's address, without a path of its API. */
  get node() {
    return nodeOf(this.#spec.url);
  }

  get lastEventId() {
    return this.#stream?.lastEventId ?? this.standing.cursor;
  }

  reconnect() {
    if (this.#stream !== null) this.#stream.reconnect();
    else this.#session?.toLeader({ t: "again" });
  }

  stop() {
    if (this.#stopped) return;
    this.state = "closed";
    clearTimeout(this.#grace);
    this.#stream?.stop();
    this.#session?.leave(this);
  }

  /** Its own stream, for the leader to go on with as the carrier; null where that cannot be. */
  give(listener) {
    const stream = this.#stream;
    if (stream === null || stream.state !== "open" || (this.options.closeWhenHidden ?? false) !== false) return null;
    this.#stream = null;
    stream.listener = listener;
    return stream;
  }

  // With a stream of its own ---

  #alone(cursor) {
    clearTimeout(this.#grace);
    const listener = {
      event: (event) => this.#own(event),
      open: (info) => {
        this.#news = this.state !== "open";
        this.#show({ state: "open" }, info);
      },
      state: (change) => change.state !== "open" && this.#show(change),
      error: (error) => this.#listener.error(error),
      end: (closed) => this.#end(closed),
      room: (signal) => this.#listener.room?.(signal),
    };
    this.#stream = new Stream(this.#spec, this.options, this.#credentials, listener, cursor);
  }

  #own(event) {
    if (event.type === "stream.open") {
      this.standing.opened(event.data?.channels, event.id);
      this.#join();
    }
    this.standing.move(event.id);
    this.#finished.note(event, this.standing.channels);
    // Another stream in the middle of the story is nobody's business.
    if (event.type !== "stream.open" || this.#news) this.#listener.event(event);
    if (!this.#stopped && this.#stream !== null) this.#session?.told(this);
  }

  #join() {
    if (this.#session !== null) return;
    const user = userOf(this.#credentials.current?.token, this.options);
    if (user === null) return;
    if (user.subject !== undefined) this.#credentials.expect(user.subject);
    this.#session = Session.of(`sse-gateway/1 ${this.node} ${user.name}`, user.subject, this.options.silenceMs);
    this.#session.join(this);
  }

  // With the leader's words ---

  /** The leader stands at `tops`. Lets the own stream go if that leaves no hole. */
  compare(tops, flows) {
    const { standing } = this;
    if (this.#stopped || standing.channels.length === 0) return;
    if (this.attached) {
      if (standing.isBehind(tops)) this.detach();
      else if (standing.isCarried(tops)) clearTimeout(this.#grace);
      else this.orphan();
    } else if (flows && standing.isWhole(tops) && !this.#listener.full?.()) {
      clearTimeout(this.#grace);
      this.#stream.stop();
      this.#stream = null;
      this.#show({ state: "open" }, { resumed: true });
    }
  }

  /** The leader repeats an event of `channel` (null: of all), after which the channel stands at `part`. */
  relay(channel, part, parsed) {
    const { standing } = this;
    if (!this.attached || (channel !== null && !standing.channels.includes(channel))) return;
    const event = unwrapped({ ...parsed, lastEventId: "" }, true);
    const place = this.#listener.full?.() ? "hole" : standing.place(channel, event);
    if (place === "hole") this.detach();
    if (place !== "next") return;
    if (channel !== null) standing.parts.set(channel, part);
    event.id = this.lastEventId;
    this.#finished.note(event, standing.channels);
    this.#listener.event(event);
    if (this.#finished.are(standing.channels)) this.#end({ reason: "finished" });
  }

  /** The leader has trouble, or none any more. */
  carrier(change) {
    if (this.attached) this.#show(change, { resumed: true });
  }

  trouble(error) {
    if (this.attached) this.#listener.error(error);
  }

  /** There is no leader for it at the moment: one comes soon, or it helps itself. */
  orphan() {
    if (!this.attached) return;
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => this.detach(), GRACE_MS);
  }

  /** Go on with a stream of its own, from where it stands. */
  detach() {
    if (this.attached) this.#alone(this.standing.cursor);
  }

  ended(closed) {
    if (this.attached) this.#end(closed);
  }

  /** Changes of stream are nobody's business while events flow on. */
  #show({ state, retryInMs, reason }, info = {}) {
    const previous = this.state;
    if (this.#stopped || state === previous || (state === "connecting" && previous === "open")) return;
    this.state = state;
    this.#listener.state({ state, previous, retryInMs, reason });
    if (state !== "open" || this.#stopped) return;
    this.#listener.open({ ...info, resumed: info.resumed ?? true, reconnected: this.#shown });
    this.#shown = true;
  }

  #end(closed) {
    if (this.#stopped) return;
    this.stop();
    this.#listener.end(closed);
  }
}
