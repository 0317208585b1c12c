// Where each dialect tells of a job, and how its story ends. Pure.

const json = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
};
const path = encodeURIComponent;
const ENDED = new Set(["job.completed", "job.failed", "job.cancelled"]);

/** `other`: served under the node's other name, so that the browser has connections to spare. `why` says why a dialect
 *  has nothing to tell of a job of this kind. */
export const DIALECTS = [
  {
    name: "native",
    about: "named events, the newest state first",
    url: (job) => `v1/jobs/${path(job.id)}/events`,
    final: ({ event }) => ENDED.has(event),
  },
  {
    name: "jobs",
    about: "unnamed events with a type",
    url: (job) => `api/v1/sse/jobs/${path(job.kind)}/${path(job.id)}`,
    why: (job) => (["character", "media"].includes(job.kind) ? "" : "This dialect knows jobs of the kinds character and media only."),
    final: ({ data }) => ["completed", "failed"].includes(json(data)?.status) && json(data).type === "job_update",
  },
  {
    name: "generation",
    about: "unnamed events with a status",
    url: (job) => `api/generation?sessionId=${path(job.id)}`,
    final: ({ data }) => ["succeeded", "failed"].includes(json(data)?.status),
  },
  {
    name: "tasks",
    about: "named events with a sequence",
    other: true,
    url: (job) => `api/v1/status/tasks/${path(job.id)}/stream`,
    final: ({ event }) => event === "task_completed" || event === "task_failed",
  },
  {
    name: "video",
    about: "named events with stages",
    other: true,
    url: (job) => `jobs/${path(job.id)}/stream`,
    final: ({ event }) => event === "complete" || event === "error",
  },
  {
    name: "clients",
    about: "notifications for one client, here when a job of this page begins and ends",
    other: true,
    url: (job) => `api/sse/subscribe/${path(job.client)}`,
    why: (job) => (job.client ? "" : "This dialect tells of a client, not of a job."),
    final: () => false,
  },
];
