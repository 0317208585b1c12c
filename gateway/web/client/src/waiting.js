// Waiting that can be cut short.

export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Waits for `ms` milliseconds, or until `signal` is aborted. Resolves to whether the whole time has passed. */
export function slept(ms, signal) {
  return new Promise((done) => {
    const end = (whole) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      done(whole);
    };
    const stop = () => end(false);
    const timer = setTimeout(() => end(true), Math.min(ms, MAX_TIMER_MS));
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
}

/** `promise`, unless `signal` is aborted or `ms` milliseconds pass before, for which `late` makes an error. */
export function within(promise, ms, signal, late = () => new Error("It took too long.")) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms);
    const stop = () => reject(new Error("It was aborted."));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    Promise.resolve(promise)
      .then(resolve, reject)
      .finally(() => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
      });
  });
}
