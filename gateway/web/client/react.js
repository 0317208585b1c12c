// Hooks for React 18 and 19: the newest state of a job, the events of a stream. Types are in react.d.ts.

import { useEffect, useMemo, useRef, useState } from "react";

import { answerUrl, applyJobEvent, connect, tokenSubject } from "./sse-client.js";

const HANDLERS = ["onEvent", "onOpen", "onReset", "onStateChange", "onError", "onClose"];
const NONE = { value: null, connectionState: "connecting", connectionError: null };
const OVER = new Set(["completed", "failed", "cancelled"]);

/** What makes it another connection: everything but functions and what may change on the way; of a token only whose it is. */
function keyOf(target, { token, ticket, keep, enabled, events, lastEventId, ...options }) {
  const whose = [typeof token === "string" ? tokenSubject(token) : typeof token, ticket != null];
  const plain = Object.entries(options).filter(([, value]) => typeof value !== "function" && value !== undefined);
  return JSON.stringify([Array.isArray(target) ? target : String(target), whose, plain.sort()]);
}

/** Follows `target`; `reduce(value, event)` makes the value that is shown. Nothing is told after the component is gone. */
function useStream(target, options, reduce) {
  const newest = useRef({ options, reduce });
  useEffect(() => {
    newest.current = { options, reduce };
  });
  const on = target != null && options.enabled !== false;
  const [life, setLife] = useState(0);
  const key = on ? `${life} ${keyOf(target, options)}` : null;
  const [view, setView] = useState({ key: null, ...NONE });

  useEffect(() => {
    if (key === null) return undefined;
    let live = true;
    let shown = { key, ...NONE };
    const show = (change) => {
      shown = { ...shown, ...change };
      setView(shown);
    };
    const current = (name) => newest.current.options[name];
    const { events, enabled, keep, ...asked } = newest.current.options;
    for (const name of ["token", "ticket"]) {
      // Asked for when needed, so that the newest one counts whatever the component was rendered with at first.
      if (asked[name] != null) {
        asked[name] = (request) => (typeof current(name) === "function" ? current(name)(request) : current(name));
      }
    }
    for (const name of HANDLERS) asked[name] = (argument) => live && current(name)?.(argument);
    asked.onOpen = (info) => {
      if (!live) return;
      show({ connectionError: null });
      current("onOpen")?.(info);
    };
    asked.onStateChange = (change) => {
      if (!live) return;
      show({ connectionState: change.state });
      current("onStateChange")?.(change);
    };
    asked.onError = (error) => {
      if (!live) return;
      if (error.code !== "handler") show({ connectionError: error });
      current("onError")?.(error);
    };
    const connection = connect(target, asked);
    connection.on("*", (event) => {
      if (!live) return;
      show({ value: newest.current.reduce(shown.value, event) });
      current("events")?.[event.type]?.(event);
    });
    return () => {
      live = false;
      connection.close();
    };
    // The key stands for target and options.
  }, [key]);

  // A connection that died of its token begins anew with the next one.
  const token = typeof options.token === "string" ? options.token : null;
  const refused = useRef(null);
  const code = view.connectionError?.final ? view.connectionError.code : null;
  useEffect(() => {
    if (code === "unauthorized" || code === "token_expired") {
      if (refused.current === null) refused.current = token;
      else if (refused.current !== token) {
        refused.current = null;
        setLife((lives) => lives + 1);
      }
    } else refused.current = null;
  }, [code, token]);

  return view.key === key ? view : NONE;
}

export function useJob(jobId, options = {}) {
  const target = jobId == null ? null : `/v1/jobs/${encodeURIComponent(jobId)}/events`;
  const { value: job, connectionState, connectionError } = useStream(target, options, applyJobEvent);
  return useMemo(
    () => ({
      job,
      status: job?.status ?? null,
      progress: job?.progress ?? 0,
      stage: job?.stage ?? null,
      message: job?.message ?? null,
      current: job?.current ?? null,
      total: job?.total ?? null,
      items: job?.items ?? [],
      result: job?.result ?? null,
      error: job?.error ?? null,
      finished: job !== null && OVER.has(job.status),
      connectionState,
      connectionError,
    }),
    [job, connectionState, connectionError],
  );
}

/** What a stream of an answer may begin with: the whole answer, twice. */
const MAX_ANSWER = 16 * 1024 * 1024;
const NOTHING = [];

export function useAnswer(answer, options = {}) {
  const named = answer != null && (typeof answer === "string" || answer.chat != null);
  const target = named ? answerUrl(answer) : null;
  const told = useStream(target, { maxEventSize: MAX_ANSWER, ...options }, applyJobEvent);
  const { value, connectionState, connectionError } = told;
  return useMemo(
    () => ({
      answer: value,
      jobId: value?.job_id ?? null,
      status: value?.status ?? null,
      text: value?.text ?? "",
      parts: value?.parts ?? NOTHING,
      error: value?.error ?? null,
      finished: value !== null && OVER.has(value.status),
      connectionState,
      connectionError,
    }),
    [value, connectionState, connectionError],
  );
}

export function useEvents(target, options = {}) {
  const keep = options.keep ?? 100;
  const reduce = (events, event) => (keep > 0 ? [...(events ?? []), event].slice(-keep) : null);
  const { value, connectionState, connectionError } = useStream(target, options, reduce);
  return useMemo(() => {
    const events = value ?? [];
    return { events, lastEvent: events.at(-1) ?? null, connectionState, connectionError };
  }, [value, connectionState, connectionError]);
}
