// What the user of each front end sees of a job, from the words of its dialect alone. Pure: a sight and a frame make the next.
import { applyJobEvent } from "./sse-client.js";

/** Before anything was said. `files` are {name, status, progress}, `pictures` are data: URLs, `notes` are sentences. */
export const NOTHING = { status: "pending", progress: 0, message: "", files: [], pictures: [], notes: [] };

const MOST_NOTES = 5;

/** The pictures among these, which the demo's worker makes as data: URLs. */
const pictures = (...texts) => texts.flat().filter((text) => typeof text === "string" && text.startsWith("data:image/"));
const counted = (message, current, total) => (message && current != null && total != null ? `${message} (${current} of ${total})` : (message ?? ""));
const known = (before, changes) => ({ ...before, ...Object.fromEntries(Object.entries(changes).filter(([, value]) => value != null)) });

export function native(before, { event, data }) {
  const job = applyJobEvent(before.job ?? null, { type: event, data });
  if (!job || job === before.job) return before;
  const { result } = job;
  return {
    ...before,
    job,
    status: job.status,
    progress: job.progress,
    message: job.status === "failed" ? (job.error?.message ?? "") : job.status === "active" ? counted(job.message, job.current, job.total) : "",
    files: job.items.map((item) => ({ name: item.filename ?? item.item_id, status: item.status, progress: item.progress })),
    pictures: pictures(result?.imageUrl, result?.url, result?.poster, result?.output),
  };
}

export function jobs(before, { data }) {
  if (data.type !== "initial_status" && data.type !== "job_update") return before;
  const { status, progress, failedReason, result } = data;
  return known(before, { status, progress, message: failedReason, pictures: pictures(result?.imageUrl, result?.url) });
}

const GENERATION = { started: "pending", processing: "active", succeeded: "completed", failed: "failed" };
export function generation(before, { data }) {
  if (data.status === "started") return NOTHING;
  return known(before, { status: GENERATION[data.status], progress: data.progress, message: data.error, pictures: data.output && pictures(data.output) });
}

export function tasks(before, { event, data }) {
  if (event === "task_progress") return known(before, { status: "active", progress: data.progress, message: counted(data.message, data.current, data.total) });
  if (event === "task_completed") {
    const { result } = data;
    return { ...before, status: "completed", progress: 100, message: "", pictures: pictures(result?.imageUrl, result?.url, result?.poster, result?.output) };
  }
  if (event === "task_failed") return { ...before, status: "failed", message: data.error ?? "" };
  if (event !== "file_update") return before;
  const file = { id: data.file_id, name: data.filename ?? data.file_id, status: data.status, progress: data.progress };
  const at = before.files.findIndex(({ id }) => id === file.id);
  return { ...before, files: at < 0 ? [...before.files, file] : before.files.map((old, index) => (index === at ? file : old)) };
}

export function video(before, { event, data }) {
  if (!["status", "progress", "complete", "error"].includes(event)) return before;
  const { status, progress, stage, message, details } = data;
  const said = status === "active" ? [stage, message].filter(Boolean).join(": ") : status === "failed" ? message : "";
  return known(before, { status, progress, message: said, pictures: pictures(details?.poster, details?.imageUrl, details?.url, details?.output) });
}

export function clients(before, { event, data }) {
  if (!event || event.startsWith("__") || event.startsWith("stream.")) return before;
  const note = [event, data.kind, data.jobId].filter(Boolean).join(" · ");
  return { ...before, notes: [note, ...before.notes].slice(0, MOST_NOTES) };
}
