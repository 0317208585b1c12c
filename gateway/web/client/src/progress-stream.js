// The client of the dialect `tasks`, with the interface that its front ends know.

import { connect } from "./connection.js";
import { report } from "./errors.js";

export function createProgressStream(taskId, options = {}) {
  const { onProgress, onFileUpdate, onComplete, onError, onTaskUpdate, onStateChange, ...rest } = options;
  let task = { status: "active", task_id: String(taskId), sequence: 0, files: [] };
  const call = (handler, argument) => {
    try {
      handler?.(argument);
    } catch (error) {
      report(error);
    }
  };
  const tell = (handler, data, more) => {
    task = { ...task, ...more };
    call(handler, data);
    call(onTaskUpdate, task);
  };
  const end = (handler, data, more) => {
    connection.close(); // the server ends the stream, too; this way nobody asks again
    tell(handler, data, more);
  };
  const connection = connect(`/api/v1/status/tasks/${encodeURIComponent(taskId)}/stream`, {
    ...rest,
    onStateChange,
    events: {
      task_progress: ({ data }) => tell(onProgress, data, data),
      file_update: ({ data }) => {
        const known = task.files.some(({ file_id }) => file_id === data.file_id);
        const files = known ? task.files.map((file) => (file.file_id === data.file_id ? data : file)) : [...task.files, data];
        tell(onFileUpdate, data, { files, sequence: data.sequence });
      },
      task_completed: ({ data }) => end(onComplete, data, { ...data, status: "completed" }),
      task_failed: ({ data }) => end(onError, data, { ...data, status: "failed" }),
    },
    onError: (error) => {
      if (!error.final) return;
      const details = { code: error.code, ...(error.status === undefined ? {} : { status: error.status }) };
      tell(onError, { error: error.message, details, task_id: String(taskId) }, { status: "failed", error: error.message, details });
    },
  });
  return { close: () => connection.close(), readyState: () => connection.readyState() };
}
