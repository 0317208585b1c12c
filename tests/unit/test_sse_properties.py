"""Whatever is published arrives as it was, in every dialect, however the bytes are cut: nothing in an event's data,
type or id can end a line, a field or an event early."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from gateway.closing import Closing
from gateway.dialects import clients, generation, jobs, tasks, video
from gateway.dialects.native import native_encoder
from gateway.fanout import cursor, sse
from gateway.fanout.encoder import Encoder
from publisher import channels, jsontext
from publisher.envelope import NO_MARK, Event, decode, encode
from publisher.job import Job
from tests.support.chunks import dechunk
from tests.support.sse_parser import SseEvent, SseParser

PLAIN, ENVELOPE = native_encoder(False, False), native_encoder(True, True)
ENCODERS: dict[str, Encoder] = {
    "native": PLAIN,
    "envelope": ENVELOPE,
    "clients": clients.ENCODER,
    "jobs": jobs.ENCODER,
    "generation": generation.ENCODER,
    "tasks": tasks.ENCODER,
    "video": video.ENCODER,
}
NASTY = [
    "\r",
    "\n",
    "\r\n",
    "\n\ndata: x\n\n",
    "\nid: 9\n",
    "\0",
    "\u2028",
    "\x85",
    "\ufeff",
    ":",
    "event: x",
    "🙂",
    " ",
]

texts = st.text(max_size=20) | st.lists(st.sampled_from(NASTY), max_size=4).map("".join)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
types = st.text("abcXYZ019_.:-", min_size=1, max_size=100)
own_ids = st.none() | st.text(min_size=1, max_size=255).filter(str.isprintable)
ids = st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() and not set(text) & set(" {},\u3000"))
cuts = st.lists(st.integers(1, 40), max_size=30)


@st.composite
def events(draw: st.DrawFn, type_: st.SearchStrategy[str] = types, data: Any = json_values) -> Event:
    """An event as the decoder gives it, out of the bytes that a publisher sends."""
    seq = draw(st.integers(1, 10**15))
    event = Event(
        "job:j",
        draw(st.text("abcXYZ", min_size=8, max_size=8)),
        seq,
        draw(st.text("abcXYZ019_-", min_size=6, max_size=6)),
        NO_MARK if seq == 1 else "aaaaaa",
        draw(st.integers(0, 10**15)),
        channels.check_type(draw(type_)),
        jsontext.dump(draw(data)),
        draw(own_ids),
    )
    return decode(event.channel, encode(event))


def parsed(data: bytes, sizes: list[int]) -> list[SseEvent]:
    """What a browser makes of it when it comes in pieces of these sizes."""
    parser = SseParser()
    found: list[SseEvent] = []
    for size in itertools.chain(sizes, itertools.repeat(len(data) or 1)):
        if not data:
            return found
        found += parser.feed(data[:size])
        data = data[size:]
    raise AssertionError("unreachable")


def line(event: Event) -> bytes:
    return sse.ID + cursor.part(cursor.tag(event.channel), event.position) + b"\n"


def sent(text: str) -> str:
    """The JSON text as it goes to clients."""
    return text.replace("\u2028", r"\u2028").replace("\u2029", r"\u2029").replace("\u0085", r"\u0085")


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\u0085"])
def test_what_some_clients_take_for_a_line_break_is_sent_as_an_escape(char: str) -> None:
    """Whatever the publisher wrote: its JSON holds these characters as they are."""
    said = {f"a{char}b": [f"{char}ü–\u2027\u0084"]}
    for block in (sse.data_block(orjson.dumps(said), b"t"), sse.json_block(said), sse.json_block(said, b"t")):
        assert char.encode() not in block
        assert "ü–\u2027\u0084".encode() in block
        assert orjson.loads(block.partition(b"data: ")[2]) == said


@given(st.lists(events(), min_size=1, max_size=4), cuts)
def test_an_event_arrives_with_the_type_data_and_cursor_it_was_published_with(
    some: list[Event], sizes: list[int]
) -> None:
    found = parsed(b"".join(line(event) + (PLAIN.event(event) or b"") for event in some), sizes)
    assert [told.type for told in found] == [event.type for event in some]
    assert [told.data for told in found] == [sent(event.data.decode()) for event in some]
    assert [cursor.parse(told.last_event_id) for told in found] == [
        {cursor.tag(event.channel): event.position} for event in some
    ]


@given(events(), cuts)
def test_an_envelope_says_where_the_event_is_from_and_holds_the_same_data(event: Event, sizes: list[int]) -> None:
    (told,) = parsed(line(event) + (ENVELOPE.event(event) or b""), sizes)
    data = orjson.loads(told.data)
    assert told.type == "message"
    assert orjson.dumps(data.pop("data")) == orjson.dumps(orjson.loads(event.data))
    assert data == {"channel": "job:j", "seq": event.seq, "epoch": event.epoch, "type": event.type, "time": event.time}


job_data = st.fixed_dictionaries(
    {"job_id": texts | numbers},
    optional={
        "item_id": texts | numbers,
        "kind": json_values,
        "owner": json_values,
        "status": json_values,
        "progress": json_values,
        "stage": json_values,
        "message": json_values,
        "current": json_values,
        "total": json_values,
        "result": json_values,
        "error": json_values | st.fixed_dictionaries({"message": json_values, "details": json_values}),
        "created_at": json_values | st.integers(),
        "filename": json_values,
        "meta": json_values,
    },
)


@settings(max_examples=150)
@given(events(st.sampled_from(sorted(channels.JOB_TYPES)) | types, job_data | json_values), cuts)
def test_no_dialect_lets_an_event_out_of_its_block(event: Event, sizes: list[int]) -> None:
    """Also where the data of a job's event is not what the job calls write."""
    for name, encoder in ENCODERS.items():
        note(name)
        block = encoder.event(event)
        check_blocks([] if block is None else [block], event, sizes)


def check_blocks(blocks: list[bytes], event: Event, sizes: list[int]) -> None:
    """Each block is one event of JSON data, whose cursor is the one in front of it."""
    found = parsed(b"".join(line(event) + block for block in blocks), sizes)
    assert len(found) == len(blocks)
    for told in found:
        orjson.loads(told.data)
        assert cursor.parse(told.last_event_id) == {cursor.tag(event.channel): event.position}
        channels.check_type(told.type)


fields = st.none() | texts
whole_jobs = st.builds(
    Job,
    job_id=ids,
    kind=texts,
    owner=fields,
    status=st.sampled_from(channels.STATUSES),
    progress=st.floats(0, 100) | st.integers(0, 100),
    stage=fields,
    message=fields,
    current=st.none() | numbers,
    total=st.none() | numbers,
    result=json_values,
    error=st.none() | st.fixed_dictionaries({"message": texts, "code": fields, "details": json_values}),
    created_at=st.none() | st.integers(-(2**53), 2**53),
    started_at=st.none() | st.integers(0, 2**53),
    finished_at=st.none() | st.integers(0, 2**53),
    meta=st.none() | st.dictionaries(texts, json_values, max_size=3),
    items=st.lists(
        st.fixed_dictionaries({"item_id": ids}, optional={"filename": json_values, "progress": json_values}),
        max_size=3,
    ),
)


@settings(max_examples=100)
@given(whole_jobs, events(), ids, st.sampled_from(Closing), cuts)
def test_no_dialect_lets_a_state_or_what_it_says_itself_out_of_its_blocks(
    job: Job, event: Event, an_id: str, closing: Closing, sizes: list[int]
) -> None:
    for name, encoder in ENCODERS.items():
        note(name)
        blocks = [
            *encoder.opened("c1", [f"client:{an_id}", "broadcast"], True),
            *(encoder.reset(f"topic:{an_id}", "history_lost") or ()),
            *encoder.state(job, event.seq),
            *encoder.degraded(True),
            *encoder.closing(closing),
        ]
        check_blocks(blocks, event, sizes)
        # A heartbeat changes nothing of what follows it, also where it ends with a single line break.
        assert len(parsed(sse.retry(5) + blocks[0] if blocks else b"", sizes)) == bool(blocks)
        beat = encoder.heartbeat()
        assert len(parsed(beat + line(event) + (PLAIN.event(event) or b""), sizes)) == 1 + beat.count(b"data:")


@given(st.lists(st.integers(1, 20_000), max_size=12), cuts)
def test_a_chunk_ends_where_an_event_ends_and_is_larger_than_16_kib_only_for_one_event(
    lengths: list[int], sizes: list[int]
) -> None:
    frames = [b"id: %d\n" % number + sse.data_block(b'"%b"' % (b"x" * length)) for number, length in enumerate(lengths)]
    framed = sse.framed(frames)
    chunks = dechunk(framed)
    assert b"".join(chunks) == b"".join(frames)
    for chunk in chunks:
        held = parsed(chunk, sizes)
        assert len(chunk) <= sse.MAX_CHUNK or len(held) == 1
        assert chunk.endswith(b"\n\n") and len(held) == chunk.count(b"\n\n")
