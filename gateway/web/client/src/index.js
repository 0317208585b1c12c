// The public names; their types are in ../sse-client.d.ts.

export { StreamError } from "./errors.js";
export { SSEParser } from "./parser.js";
export { tokenExpiry, tokenSubject } from "./tokens.js";
export { connect } from "./connection.js";
export { applyJobEvent } from "./jobs.js";
export { answerUrl, followAnswer } from "./answers.js";
export { createProgressStream } from "./progress-stream.js";
