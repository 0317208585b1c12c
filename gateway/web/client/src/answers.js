// Answers: jobs whose text and parts arrive in pieces.

import { connect } from "./connection.js";
import { applyJobEvent, isGrowth } from "./jobs.js";

/** The state that a stream begins with has the whole answer, twice: as text, and in its parts. */
const MAX_EVENT_SIZE = 16 * 1024 * 1024;

export function answerUrl(answer) {
  if (typeof answer === "string") return `/v1/jobs/${encodeURIComponent(answer)}/events`;
  return `/v1/chats/${encodeURIComponent(answer.chat)}/events`;
}

export function followAnswer(answer, { onAnswer, onEvent, ...options } = {}) {
  let view = null;
  let due = null;
  const show = () => {
    due = null;
    onAnswer?.(view);
  };
  return connect(answerUrl(answer), {
    maxEventSize: MAX_EVENT_SIZE,
    ...options,
    onEvent: (event) => {
      const before = view;
      view = applyJobEvent(view, event);
      onEvent?.(event);
      if (view === before) return;
      if (!isGrowth(event)) {
        clearTimeout(due);
        show();
      } else due ??= setTimeout(show);
    },
  });
}
