// The events that somebody takes with `for await`.

const ROOM = 256;

export class EventQueue {
  /** Called as soon as there is room again. */
  whenRoom = null;
  #waiting = [];
  #wanted = [];
  #end;
  #left;

  /** `end` is how the connection has ended already, or null; `left` is called when nobody takes events any more. */
  constructor(end, left) {
    this.#end = end;
    this.#left = left;
  }

  get full() {
    return this.#waiting.length >= ROOM;
  }

  push(event) {
    this.#waiting.push(event);
    this.#settle();
  }

  end(closed) {
    this.#end = closed;
    this.#settle();
  }

  next() {
    return new Promise((yes, no) => {
      this.#wanted.push({ yes, no });
      this.#settle();
    });
  }

  async return() {
    this.#left();
    this.#waiting = [];
    this.end({});
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #settle() {
    while (this.#wanted.length > 0 && (this.#waiting.length > 0 || this.#end !== null)) {
      const { yes, no } = this.#wanted.shift();
      if (this.#waiting.length > 0) yes({ value: this.#waiting.shift(), done: false });
      else if (this.#end.error) no(this.#end.error);
      else yes({ value: undefined, done: true });
    }
    if (!this.full) this.whenRoom?.();
  }
}
