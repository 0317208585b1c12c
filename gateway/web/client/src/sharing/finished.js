// Which of a member's channels have come to an end: those of jobs that are over. With the last one its stream ends.

import { ENDS, OVER } from "../jobs.js";

export class Finished {
  #channels = new Set();

  note({ type, channel, data }, channels) {
    if (ENDS.has(type) && channel?.startsWith("job:")) this.#channels.add(channel);
    if (type !== "job.state") return;
    const name = `job:${data?.job_id}`;
    if (channels.includes(name)) this.#channels[OVER.has(data?.status) ? "add" : "delete"](name);
  }

  are(channels) {
    return this.#channels.size === channels.length;
  }
}
