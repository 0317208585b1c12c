// What the AI SDK itself says of chunks: a JSON list on stdin, a list of true and false on stdout.
import { asSchema } from "@ai-sdk/provider-utils";
import { uiMessageChunkSchema } from "ai";

let text = "";
for await (const piece of process.stdin) text += piece;
const schema = asSchema(uiMessageChunkSchema);
const found = [];
for (const chunk of JSON.parse(text)) found.push((await schema.validate(chunk)).success);
console.log(JSON.stringify(found));
