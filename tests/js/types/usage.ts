// How TypeScript users call the client. The compiler checks it; nothing here is run.

import {
  answerUrl,
  applyJobEvent,
  connect,
  createProgressStream,
  followAnswer,
  SSEParser,
  StreamError,
  tokenExpiry,
  tokenSubject,
  type Answer,
  type AnswerPart,
  type Connection,
  type EventMap,
  type Job,
  type Ticket,
} from "sse-gateway-client";
import { useAnswer, useEvents, useJob } from "sse-gateway-client/react";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Equal<A, B>): void => {};

// The node's own events are known by their types.
const connection: Connection = connect("/v1/jobs/j-42/events", {
  token: async ({ reason, signal }) => (await fetch(`/token?why=${reason}`, { signal })).text(),
  onEvent: (event) => {
    if (event.type === "job.progress") {
      const progress: number | undefined = event.data.progress;
      same<typeof event.type, "job.progress">(true);
      console.log(progress, event.channel, event.seq);
    }
  },
  onOpen: ({ resumed }) => same<typeof resumed, boolean>(true),
  onReset: ({ channel }) => same<typeof channel, string | null>(true),
  onError: (error) => console.log(error.code, error.final, error.status),
  onStateChange: ({ state, retryInMs }) => console.log(state, retryInMs),
});
const stop: () => void = connection.on("job.completed", (event) => same<typeof event.data.job_id, string>(true));
stop();
connection.on("*", (event) => console.log(event.type));
// @ts-expect-error: there is no such event
connection.on("job.exploded", () => {});

// Own events are added to the map.
interface Mine extends EventMap {
  tick: { price: number };
}
const mine = connect<Mine>(["topic:prices", "broadcast"], {
  baseUrl: new URL("https://example.org/sse"),
  shared: true,
  closeWhenHidden: 5000,
  events: {
    tick: ({ data }) => console.log(data.price),
    // @ts-expect-error: a price is no text
    "stream.reset": ({ data }) => data.channel.price,
  },
});
async function read(): Promise<void> {
  for await (const event of mine) {
    if (event.type === "tick") same<typeof event.data, { price: number }>(true);
  }
  const { reason, error } = await mine.closed;
  if (error instanceof StreamError) console.log(reason, error.message);
}
void read();

// Tickets.
connect(["client:ann"], { ticket: async (): Promise<Ticket> => ({ ticket: "t", expires_at: 1 }) });
connect(new URL("https://example.org/v1/events?channel=broadcast"), { token: "t", ticketUrl: true, signal: new AbortController().signal });
connect("/elsewhere", { token: () => null, ticketUrl: "/my/tickets", ticketChannels: ["client:ann"] });
// @ts-expect-error: a number is no token
connect("/v1/events", { token: 7 });
// @ts-expect-error: there is no such option
connect("/v1/events", { tokn: "t" });

// Jobs.
interface Result {
  characterId: string;
}
const none: Job<Result> | null = null;
const job = applyJobEvent<Result>(none, { type: "job.state", data: {}, raw: "", id: "" });
same<typeof job, Job<Result> | null>(true);
const stream = createProgressStream<Result>("task-1", {
  baseUrl: "/api",
  token: "t",
  onProgress: ({ progress, total_files }) => console.log(progress, total_files),
  onFileUpdate: ({ file_id, status }) => console.log(file_id, status),
  onComplete: ({ result }) => console.log(result?.characterId),
  onError: ({ error, details }) => console.log(error, details),
  onTaskUpdate: ({ status, files }) => console.log(status, files.length),
});
same<ReturnType<typeof stream.readyState>, 0 | 1 | 2>(true);
stream.close();

// The parser, tokens.
for (const { type, data, lastEventId } of new SSEParser({ maxEventSize: 10 }).feed(new Uint8Array())) console.log(type, data, lastEventId);
same<ReturnType<typeof tokenExpiry>, number | null>(true);
same<ReturnType<typeof tokenSubject>, string | null>(true);

// Hooks.
export function Progress(): string {
  const { status, progress, result, error, connectionState, connectionError } = useJob<Result>("j-42", { token: "t", enabled: true });
  const { events, lastEvent } = useEvents<Mine>(["topic:prices"], { keep: 10, shared: true });
  same<typeof status, "pending" | "active" | "completed" | "failed" | "cancelled" | null>(true);
  if (lastEvent?.type === "tick") console.log(lastEvent.data.price);
  return `${status} ${progress} ${result?.characterId} ${error?.message} ${connectionState} ${connectionError?.code} ${events.length}`;
}

// Answers.
const answering = followAnswer<Result>("j-42", {
  token: "t",
  onAnswer: (answer) => {
    same<typeof answer, Answer<Result>>(true);
    same<typeof answer.text, string>(true);
  },
});
same<typeof answering, Connection>(true);
followAnswer({ chat: "c-7" }, { onEvent: ({ type }) => console.log(type) });
same<ReturnType<typeof answerUrl>, string>(true);
// @ts-expect-error: a number is no answer's name
followAnswer(7);
function AnswerView({ id }: { id: string | null }): string {
  const { text, parts, status, finished, error, jobId } = useAnswer(id ? { chat: id } : null, { token: "t", enabled: id !== null });
  same<typeof parts, AnswerPart[]>(true);
  same<typeof jobId, string | null>(true);
  return finished ? text : (error?.message ?? status ?? "");
}
void AnswerView;
