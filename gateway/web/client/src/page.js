// What the page goes through: online again, hidden, shown, put away, brought back. Without a page there is nothing to watch.

/**
 * Calls `seen` with `online`, `visible`, `restored` (from the back/forward cache) and `hidden`: at once (`hideAfter` is
 * true), after so many milliseconds, or never (false). Returns how to stop.
 */
export function watchPage(hideAfter, seen) {
  const page = globalThis.document;
  if (typeof globalThis.addEventListener !== "function") return () => {};
  let timer;
  const tell = (what) => {
    clearTimeout(timer);
    if (what !== "hidden") seen(what);
    else if (hideAfter !== false) timer = setTimeout(() => seen(what), hideAfter === true ? 0 : hideAfter);
  };
  const visibility = () => tell(page.visibilityState === "hidden" ? "hidden" : "visible");
  if (page?.visibilityState === "hidden") visibility();
  const unlisten = listen([
    [globalThis, "online", () => tell("online")],
    [globalThis, "pageshow", (event) => event.persisted && tell("restored")],
    [page, "visibilitychange", visibility],
  ]);
  return () => {
    clearTimeout(timer);
    unlisten();
  };
}

/** Calls `gone` before the page is put away, `back` when it is there again. Returns how to stop. */
export function watchTab(gone, back) {
  const page = globalThis.document;
  if (typeof globalThis.addEventListener !== "function") return () => {};
  return listen([
    [globalThis, "pagehide", gone],
    [globalThis, "pageshow", (event) => event.persisted && back()],
    [page, "freeze", gone],
    [page, "resume", back],
  ]);
}

function listen(entries) {
  for (const [target, type, handler] of entries) target?.addEventListener(type, handler);
  return () => {
    for (const [target, type, handler] of entries) target?.removeEventListener(type, handler);
  };
}
