// Where each dialect tells of a job, how its story ends, and what its front ends show. Pure.
import * as sights from "./sights.js";

const path = encodeURIComponent;
const ENDED = new Set(["job.completed", "job.failed", "job.cancelled"]);

/** `final` and `see` get a frame as {event, data}, with data parsed where it is JSON. `other`: served under the node's
 *  other name, so that the browser has connections to spare. `why` says why a dialect has nothing to tell of a job. */
export const DIALECTS = [
  {
    name: "native",
    about: "named events, the newest state first",
    shows: "Here will be: a bar with what the worker says, the files, the picture.",
    url: (job) => `v1/jobs/${path(job.id)}/events`,
    final: ({ event }) => ENDED.has(event),
    see: sights.native,
  },
  {
    name: "jobs",
    about: "unnamed events with a type",
    shows: "Here will be: a bar, and the picture at the end. This dialect has no messages.",
    url: (job) => `api/v1/sse/jobs/${path(job.kind)}/${path(job.id)}`,
    why: (job) => (["character", "media"].includes(job.kind) ? "" : "This dialect knows jobs of the kinds character and media only."),
    final: ({ data }) => data.type === "job_update" && ["completed", "failed"].includes(data.status),
    see: sights.jobs,
  },
  {
    name: "generation",
    about: "unnamed events with a status",
    shows: "Here will be: a bar, and the pictures at the end. This dialect has no messages.",
    url: (job) => `api/generation?sessionId=${path(job.id)}`,
    final: ({ data }) => ["succeeded", "failed"].includes(data.status),
    see: sights.generation,
  },
  {
    name: "tasks",
    about: "named events with a sequence",
    shows: "Here will be: a bar with a message, and a line for each file.",
    other: true,
    url: (job) => `api/v1/status/tasks/${path(job.id)}/stream`,
    final: ({ event }) => event === "task_completed" || event === "task_failed",
    see: sights.tasks,
  },
  {
    name: "video",
    about: "named events with stages",
    shows: "Here will be: a bar with stage and message, and the picture.",
    other: true,
    url: (job) => `jobs/${path(job.id)}/stream`,
    final: ({ event }) => event === "complete" || event === "error",
    see: sights.video,
  },
  {
    name: "clients",
    about: "notifications for one client",
    shows: "Here will be: a notice when a job of this page begins, and one when it ends.",
    other: true,
    bar: false,
    url: (job) => `api/sse/subscribe/${path(job.client)}`,
    why: (job) => (job.client ? "" : "This dialect tells of a client, not of a job."),
    final: () => false,
    see: sights.clients,
  },
];
