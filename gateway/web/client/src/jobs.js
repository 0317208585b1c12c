// Jobs as their events tell them.

/** The status of a job by the event that ends it. */
export const ENDS = new Map([
  ["job.completed", "completed"],
  ["job.failed", "failed"],
  ["job.cancelled", "cancelled"],
]);

/** The statuses of jobs that have ended. */
export const OVER = new Set(ENDS.values());

/** The other events that say what a job now is. */
const STEPS = new Set(["created", "started", "progress", "retrying", "paused", "resumed"].map((step) => `job.${step}`));

/** What a job is before anything is known of it. */
const NO_JOB = {
  kind: "",
  owner: null,
  status: "pending",
  attempt: 1,
  paused: false,
  progress: 0,
  stage: null,
  message: null,
  current: null,
  total: null,
  rate: null,
  eta_s: null,
  result: null,
  error: null,
  created_at: null,
  started_at: null,
  finished_at: null,
  items: [],
  meta: null,
};

/** Whether an event adds a piece to an answer; there may be many at once. */
export const isGrowth = ({ type }) => type === "job.text" || type === "job.part";

/** An answer with one more piece: of a text, which goes on until another part comes, or a whole part. */
function grown(job, piece) {
  const { text = "", parts = [] } = job;
  const last = parts.at(-1);
  const joins = (piece.type === "text" || piece.type === "reasoning") && last?.type === piece.type;
  return {
    ...job,
    text: piece.type === "text" ? text + piece.text : text,
    parts: joins ? [...parts.slice(0, -1), { ...last, text: last.text + piece.text }] : [...parts, piece],
  };
}

export function applyJobEvent(job, event) {
  const { type, data } = event;
  if (typeof data !== "object" || data === null || typeof data.job_id !== "string") return job;
  if (type === "job.state") return { ...NO_JOB, ...data };
  const before = job?.job_id === data.job_id ? job : { ...NO_JOB, job_id: data.job_id };
  if (type === "job.text") return grown(before, { type: "text", text: data.text });
  if (type === "job.part") return grown(before, data.part);
  if (type === "job.item") {
    const { job_id, ...item } = data;
    const at = before.items.findIndex(({ item_id }) => item_id === item.item_id);
    const items = at < 0 ? [...before.items, item] : before.items.map((old, i) => (i === at ? item : old));
    return { ...before, items };
  }
  if (STEPS.has(type) || ENDS.has(type)) {
    return { ...before, ...data, status: ENDS.get(type) ?? data.status ?? before.status };
  }
  return job;
}
