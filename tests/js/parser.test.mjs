// The parser reads what the standard says, however the bytes are cut.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SSEParser, StreamError } from "../../gateway/web/client/sse-client.js";
import { numbers } from "./support.mjs";

const bytes = (text) => new TextEncoder().encode(text);

function parsed(pieces, options) {
  const parser = new SSEParser(options);
  return { events: pieces.flatMap((piece) => parser.feed(piece)), parser };
}

const message = (data, lastEventId = "", type = "message") => ({ type, data, lastEventId });

// [what, the stream, its events, the cursor, the retry]
const CASES = [
  ["a plain event", "data: a\n\n", [message("a")], ""],
  ["CR, LF and CRLF end lines", "data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r", [message("a\nb\nc"), message("d")], ""],
  ["one byte order mark is dropped", "\uFEFFdata: a\n\n", [message("a")], ""],
  ["a second byte order mark is part of a name", "\uFEFF\uFEFFdata: a\n\ndata: b\n\n", [message("b")], ""],
  ["comments are nothing", ": hello\n:\ndata: a\n: x\n\n", [message("a")], ""],
  ["one space after the colon is dropped", "data:a\ndata:  b\n\n", [message("a\n b")], ""],
  ["a line without a colon is a name", "data\n\n", [message("")], ""],
  ["empty data lines count", "data\ndata\n\n", [message("\n")], ""],
  ["no data, no event, but the cursor moves", "id: 7\nevent: x\n\ndata: a\n\n", [message("a", "7")], "7"],
  ["the type is for one event", "event: x\ndata: a\n\ndata: b\n\n", [message("a", "", "x"), message("b")], ""],
  ["the last type counts", "event: x\nevent: y\ndata: a\n\n", [message("a", "", "y")], ""],
  ["the id stays", "id: 1\ndata: a\n\ndata: b\n\n", [message("a", "1"), message("b", "1")], "1"],
  ["an empty id deletes it", "id: 1\ndata: a\n\nid\ndata: b\n\n", [message("a", "1"), message("b", "")], ""],
  ["an id with NUL is ignored", "id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [message("a", "1"), message("b", "1")], "1"],
  ["an id without its blank line does not count", "id: 1\ndata: a\n\nid: 2\n", [message("a", "1")], "1"],
  ["retry is made of digits", "retry: 12\nretry: 1x\nretry: -3\nretry:\nretry: 1.5\n\n", [], "", 12],
  ["retry counts at once", "retry: 5\n", [], "", 5],
  ["unknown names are ignored", "foo: 1\nDATA: 2\ndata : 3\ndata: 4\n\n", [message("4")], ""],
  ["colons in values stay", "data: a:b: c\n\n", [message("a:b: c")], ""],
  ["what the end cuts off is no event", "data: a\n\ndata: b\n", [message("a")], ""],
  ["an event without its blank line is none", "data: a", [], ""],
  ["blank lines alone are nothing", "\n\n\r\n\r\r", [], ""],
  ["characters of all lengths", "data: aé€😀\nid: ü😀\n\n", [message("aé€😀", "ü😀")], "ü😀"],
  ["NUL in data stays", "data: a\0b\n\n", [message("a\0b")], ""],
];

for (const [what, stream, events, cursor, retry = null] of CASES) {
  test(what, () => {
    const whole = bytes(stream);
    const single = Array.from(whole, (byte) => Uint8Array.of(byte));
    for (const pieces of [[whole], single, single.flatMap((piece) => [piece, new Uint8Array()])]) {
      const { events: found, parser } = parsed(pieces);
      assert.deepEqual(found, events);
      assert.equal(parser.lastEventId, cursor);
      assert.equal(parser.retry, retry);
    }
  });
}

test("a carriage return completes an event without waiting for what follows", () => {
  const parser = new SSEParser();
  assert.deepEqual(parser.feed(bytes("data: a\r\r")), [message("a")]);
  assert.deepEqual(parser.feed(bytes("\ndata: b\n\n")), [message("b")]);
});

test("bytes that are no UTF-8 become replacement characters", () => {
  assert.deepEqual(parsed([bytes("data: "), Uint8Array.of(0xff, 0x0a, 0x0a)]).events, [message("\uFFFD")]);
});

test("the cursor of the last connection holds until the stream has one of its own", () => {
  assert.deepEqual(parsed([bytes("data: a\n\nid: 2\ndata: b\n\n")], { lastEventId: "1" }).events, [message("a", "1"), message("b", "2")]);
});

/** The standard's algorithm over the whole text at once, written apart from the parser. */
function model(text) {
  const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/);
  lines.pop(); // not ended
  const events = [];
  let [data, type, id, cursor] = ["", "", "", ""];
  for (const line of lines) {
    if (line === "") {
      cursor = id;
      if (data !== "") events.push(message(data.slice(0, -1), id, type || "message"));
      [data, type] = ["", ""];
    } else if (!line.startsWith(":")) {
      const [, field, value = ""] = /^([^:]*)(?::\x20?([^]*))?$/.exec(line);
      if (field === "data") data += `${value}\n`;
      if (field === "event") type = value;
      if (field === "id" && !value.includes("\0")) id = value;
    }
  }
  return { events, cursor };
}

test("any stream means the same in any pieces", () => {
  const words = ["data", "data:", "data: x", "event: t", "id: 9", "id", "id: a\0", ": c", ":", "retry: 3", "é", "😀", "\uFEFF", " ", "x: y", "\0"];
  const ends = ["\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n"];
  for (let seed = 1; seed <= 1500; seed += 1) {
    const random = numbers(seed);
    const pick = (list) => list[Math.floor(random() * list.length)];
    let text = random() < 0.2 ? "\uFEFF" : "";
    while (random() < 0.95 && text.length < 300) text += pick(words) + (random() < 0.8 ? pick(ends) : "");
    const all = bytes(text);
    const pieces = [];
    for (let at = 0; at < all.length; ) {
      const next = at + 1 + Math.floor(random() ** 3 * 20);
      pieces.push(all.slice(at, next));
      at = next;
    }
    const { events, parser } = parsed(pieces);
    const expected = model(text);
    assert.deepEqual(events, expected.events, `seed ${seed}: ${JSON.stringify(text)}`);
    assert.equal(parser.lastEventId, expected.cursor, `seed ${seed}: ${JSON.stringify(text)}`);
  }
});

test("an event has an end, in one line or in many", () => {
  const tooLarge = (error) => error instanceof StreamError && error.code === "too_large" && error.final && /maxEventSize/.test(error.message);
  for (const stream of ["data: 123456789", "data: 1234\ndata: 5678\n", "data: 1\n".repeat(5), ": 12345678901"]) {
    const parser = new SSEParser({ maxEventSize: 10 });
    assert.throws(() => parser.feed(bytes(stream)), tooLarge, stream);
  }
  const parser = new SSEParser({ maxEventSize: 10 });
  assert.equal(parser.feed(bytes("data: 123\n\n".repeat(50))).length, 50);
});

test("a long line in many pieces costs no more than its length", () => {
  const parser = new SSEParser({ maxEventSize: 2 ** 21 });
  const piece = bytes("x".repeat(16));
  parser.feed(bytes("data: "));
  for (let i = 0; i < 65_536; i += 1) parser.feed(piece);
  assert.equal(parser.feed(bytes("\n\n"))[0].data.length, 2 ** 20);
});
