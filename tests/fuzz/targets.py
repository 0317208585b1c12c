"""Parsers of what comes from outside, each as a function of any bytes that raises where a promise is broken.

The suite runs them on examples of hypothesis, ``make fuzz`` under a coverage-guided fuzzer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from gateway.auth import orders, ticket_key
from gateway.auth.claims import principal_from_claims
from gateway.auth.credentials import Credentials
from gateway.auth.errors import AuthError
from gateway.auth.jwks import KeySetError, parse_key_set
from gateway.auth.jws import read_header, verified_claims
from gateway.auth.principal import Principal, Source
from gateway.broker import reading
from gateway.broker.pubsub_protocol import PubSubProtocol
from gateway.broker.store import ReplyError
from gateway.dialects import clients, generation, jobs, tasks, video
from gateway.dialects.native import native_encoder
from gateway.exceptions import BadRequest
from gateway.fanout import cursor
from gateway.fanout.encoder import Encoder
from gateway.http import body
from gateway.http_client.sse_reader import StreamReader
from gateway.metrics.unreadable import Unreadable
from gateway.presence import outbox, rows
from gateway.settings.settings import Settings
from publisher import channels, envelope, jsontext
from publisher.core import polls, presence, replies
from publisher.core.perform import Flow
from publisher.core.polls import Rhythm
from publisher.core.requests import Call, ReadCommand, Request
from publisher.envelope import NO_MARK, MessageError
from publisher.job import from_state
from tests.support.sse_parser import SseParser

ENCODERS: Final[tuple[Encoder, ...]] = (
    native_encoder(False, False),
    clients.ENCODER,
    generation.ENCODER,
    jobs.ENCODER,
    tasks.ENCODER,
    video.ENCODER,
)
SETTINGS: Final = Settings(jwt_key="k" * 32, query_tokens=True)
KEY: Final = "k" * 32
RHYTHM: Final = Rhythm(interval_s=1, max_interval_s=10, timeout_s=900, give_up_after=10)
_HUGE_ARRAY = re.compile(rb"[*~>%|][0-9+]{6}")
"""The RESP reader makes room for as many elements as an array says it has; Redis is believed in that."""


def message(data: bytes) -> None:
    """A message on an event channel is an event, which is these very bytes, or a MessageError."""
    try:
        event = envelope.decode("topic:a", data)
    except MessageError as error:
        assert len(str(error)) < 200
        return
    assert envelope.encode(event) == data
    assert event.seq > 0 and event.time >= 0
    for text in (event.type, event.id or "", event.mark, event.prev, event.epoch):
        assert not set(text) & set("\r\n\0")
    assert not set(event.data) & set(b"\r\n")


def last_event_id(data: bytes) -> None:
    """A cursor says what stands in it and nothing else."""
    text = data.decode("latin-1")
    for tag, position in cursor.parse(text).items():
        known = cursor.part(tag, position).decode()
        assert {known, known + "~"} & set(text.split(","))
        assert (position.mark == NO_MARK) == (position.seq == 0)


def resp(data: bytes) -> None:
    """Whatever the server sends: messages, or the connection is closed. The first byte says how it is cut up."""
    if _HUGE_ARRAY.search(data):
        return
    _LOOP.run_until_complete(_read_resp(data))


_LOOP: Final = asyncio.new_event_loop()


class _Wire(asyncio.Transport):
    closed = False

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def _read_resp(data: bytes) -> None:
    def check(messages: list[tuple[bytes, bytes]]) -> None:
        for channel, payload in messages:
            assert type(channel) is bytes and type(payload) is bytes

    changes: list[tuple[bytes, bool]] = []
    link = PubSubProtocol(
        sharded=bool(data[:1] > b"\x80"),
        on_messages=check,
        on_change=lambda name, on: changes.append((name, on)),
        on_lost=lambda reason: None,
    )
    wire = _Wire()
    link.connection_made(wire)
    step = (data[0] % 16) + 1 if data else 1
    for start in range(1, len(data), step):
        if wire.closed:
            break
        link.data_received(data[start : start + step])
    assert all(type(name) is bytes for name, _ in changes)
    link.connection_lost(None)


def request_credentials(data: bytes) -> None:
    """Headers and query, one a line: credentials or an AuthError, and then a principal or an AuthError."""
    headers = []
    query = {}
    for line in data.split(b"\n"):
        name, _, value = line.partition(b":")
        headers.append((name.lower(), value))
        query[name.decode("latin-1")] = value.decode("utf-8", "replace")
    try:
        credentials = Credentials.from_request(headers, query, SETTINGS)
        if credentials.source is not Source.NONE:
            header = read_header(credentials.token, ("HS256",))
            verified_claims(credentials.token, KEY, header["alg"])
    except AuthError as error:
        assert KEY not in str(error)


def token(data: bytes) -> None:
    """The text of a token that is no bearer's: never a principal."""
    text = data.decode("latin-1")
    try:
        header = read_header(text, ("HS256",))
        verified_claims(text, KEY, header["alg"])
    except AuthError as error:
        assert not text or len(text) < 20 or text not in str(error)
    else:
        raise AssertionError("a token without a signature was accepted")


def claims(data: bytes) -> None:
    """A verified payload: a principal or an AuthError."""
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(payload, dict):
        try:
            principal = principal_from_claims(payload, SETTINGS, source=Source.HEADER, now=1_800_000_000.0)
        except AuthError:
            return
        assert isinstance(principal, Principal)
        assert principal.scopes <= {"publish", "stats", "admin"}


def key_set(data: bytes) -> None:
    """What a key-set endpoint answers: keys or a KeySetError."""
    try:
        keys = parse_key_set(data)
    except KeySetError:
        return
    assert all(key.algorithms for key in keys)


def json_body(data: bytes) -> None:
    """A request's body: a value of at most the allowed depth, or a BadRequest; no valid text is refused for nothing."""
    try:
        value = body.parse(data)
    except BadRequest:
        with contextlib.suppress(orjson.JSONDecodeError):
            assert not data.strip() or _depth(orjson.loads(data)) > jsontext.MAX_DEPTH
        return
    assert _depth(value) <= jsontext.MAX_DEPTH


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


def event_stream(data: bytes) -> None:
    """The command's reader and the one written from the WHATWG text agree, however the bytes are cut."""
    reader, parser = StreamReader(), SseParser()
    step = (data[0] % 16) + 1 if data else 1
    seen: list[tuple[str, str, str]] = []
    for start in range(1, len(data), step):
        seen += [(event.type, event.data, event.id) for event in reader.feed(data[start : start + step])]
    expected = [(event.type, event.data, event.last_event_id) for event in parser.feed(data[1:])]
    assert seen == expected
    assert reader.last_event_id == parser.last_event_id


def job_state(data: bytes) -> None:
    """A job's hash as anybody may have written it, ``field=value`` a line: a job with fields of the right kinds, or
    none."""
    pairs = [line.partition(b"=") for line in data.split(b"\n")]
    job = from_state({name: value for name, _, value in pairs})
    if job is not None:
        assert job.job_id == json.loads(json.dumps(job.as_dict()))["job_id"]
        for encoder in ENCODERS:
            encoder.state(job, 1)


def read_reply(data: bytes) -> None:
    """What the read script answers, one part a line: a snapshot, or a ReplyError."""
    parts: list[Any] = data.split(b"\n")
    head, rest = parts[:3], parts[3:]
    unreadable = Unreadable()
    kinds: tuple[reading.What, ...] = ("", "state", "whole", "jobs", "chat")
    for what in kinds:
        try:
            snapshot = reading.snapshot(("job:j", 0, what, ""), [*head, rest, b"0", rest, 0], unreadable)
        except ReplyError:
            continue
        assert snapshot.top.seq > 0 or not snapshot.events
        assert reading.job_in("job:j", snapshot.state, unreadable) is None or snapshot.state


def step_reply(data: bytes) -> None:
    """Status, attempt and pause of a job, a line each, as the script of a step answers with them: an outcome."""
    status, attempt, paused = [*data.split(b"\n", 2), b"", b""][:3]
    assert replies.read([b"ok", b"abcdefgh", 1, status, attempt, paused]).attempt >= 0
    for verdict in (b"exists", b"finished", b"owner", b"kind"):
        assert replies.read([verdict, status]).verdict == verdict.decode()


def order(data: bytes) -> None:
    """A message of one node to all: an order with a believable moment, or None."""
    found = orders.read_message(data, 2e9)
    if isinstance(found, orders.Order):
        assert found.subject and 0 <= found.revoked <= 2e9 and 0 <= found.at <= 2e12
    elif found is not None:
        assert found.name


def kept_orders(data: bytes) -> None:
    """A sorted set of subjects, ``score member`` a line: each is believed or told apart."""
    page = []
    for line in data.split(b"\n"):
        score, _, member = line.partition(b" ")
        with contextlib.suppress(ValueError):
            page.append((member, float(score)))
    kept = orders.read_rows(page, 2e9)
    assert len(kept.good) + len(kept.bad) == len(page)
    assert all(subject and 0 <= at <= 2e9 for subject, at in kept.good)


def node_counts(data: bytes) -> None:
    """A node's hash, ``field=value`` a line, and the census of it: figures that every JSON reader takes."""
    found = dict(line.partition(b"=")[::2] for line in data.split(b"\n"))
    unreadable = Unreadable()
    for start in ("ch:", "ch:client:"):
        counted = rows.counts(found, start, unreadable)
        assert all(name.startswith(start) and 0 < count < 2**53 for name, count in counted.items())
    for row in ([b"a", *found.values()], [*found.values()], [*found, *found.values()][:9]):
        figures = rows.figures(row, unreadable)
        if figures is not None:
            assert orjson.dumps([*figures[:-1], *figures.delivered[:-1], list(figures.delivered.latency)])


def news(data: bytes) -> None:
    """An entry of the outbox, ``field=value`` a line, and the same as the topic's history: an event or None."""
    entry, *lines = data.split(b"\n")
    fields = dict(line.partition(b"=")[::2] for line in lines)
    told = outbox.event(b"1-1", fields)
    if told is not None:
        orjson.dumps(told["data"])
    assert outbox.number(entry) >= outbox.NONE
    assert outbox.last_told([(entry, fields), (entry, {b"m": data})], Unreadable()) >= outbox.NONE


def poll_turn(data: bytes) -> None:
    """What a poller's turn answers, id, start and errors of a job a line each: jobs that can be reckoned with, and
    what is to be given back."""
    lines = data.split(b"\n")
    taken = lines[: len(lines) // 3 * 3]
    turn = _answered(
        polls.turn(("due", "jobs"), "holder", 32, [], []), lambda _: [b"1795000000000", b"-1", data, *taken]
    )
    assert len(turn.claims) + len(turn.rubbish) == len(taken) // 3
    for claim in turn.claims:
        assert channels.check_job_id(claim.job_id) and math.isfinite(RHYTHM.left_s(claim))
        assert RHYTHM.release(claim, claim.errors + 1).due_ms > claim.now_ms
        assert RHYTHM.release(claim, None).job_id == claim.job_id


def _answered(flow: Flow[Any], answer: Callable[[Request], Any]) -> Any:
    """What a flow makes of the answers to its requests."""
    reply: Any = None
    while True:
        try:
            request = flow.send(reply)
        except StopIteration as end:
            return end.value
        reply = answer(request)


def ticket_secrets(data: bytes) -> None:
    """What the script of tickets' secrets answers: secrets that are long enough to sign with, or none."""
    parts: list[Any] = data.split(b"\n")
    for reply in (parts, [*parts[:2], len(data)], [parts[0], b"", 0], parts[0], None, len(data), [None, *parts]):
        keys, replaced = ticket_key.read_reply(reply)
        assert replaced >= 0
        assert keys is None or all(len(secret) == 43 and secret.isascii() for secret in keys.accepted)


def presence_rows(data: bytes) -> None:
    """What publishers read of the nodes, ``node=count`` a line, and of their clients, ``name`` a line: numbers, and
    names that clients may have."""
    nodes, _, names = data.partition(b"\n\n")
    counts = [line.partition(b"=")[::2] for line in nodes.split(b"\n")]
    fields = {b"ch:client:" + name: b"1" for name in names.split(b"\n")}

    def answer(request: Request) -> Any:
        if isinstance(request, ReadCommand):
            return 0, fields
        asked = len(request.args) - 2 if isinstance(request, Call) else 0
        return [[name, *[count or None] * asked] for name, count in counts]

    assert _answered(presence.has_connections("sse", "ann"), answer) in (True, False)
    figures = _answered(presence.connection_metrics("sse"), answer)
    assert figures.connections >= 0 and figures.clients >= 0 and math.isfinite(figures.average_connections_per_client)
    walk = presence.Walk("sse")
    while (page := _answered(walk.next_page(), answer)) is not None:
        for found in page:
            assert channels.check_id(found.client_id) and found.connections > 0


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        message,
        last_event_id,
        resp,
        request_credentials,
        token,
        claims,
        key_set,
        json_body,
        event_stream,
        job_state,
        read_reply,
        step_reply,
        order,
        kept_orders,
        node_counts,
        news,
        poll_turn,
        ticket_secrets,
        presence_rows,
    )
}

SEEDS: Final[dict[str, list[bytes]]] = {
    "message": [
        b"1 abcdefgh 7 aB3_-x - 1795000000000 job.progress own id\n{}",
        b"2 abcdefgh 1 aaaaaa - 0 t\n1",
        b"1 abcdefgh 1 aaaaaa - 007 t\n1",
    ],
    "last_event_id": [b"AAAAAAAA.abcdefgh.7.aB3_-x,BBBBBBBB.0~,CCCCCCCC.-"],
    "resp": [
        b"\x07*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n-ERR no\r\n",
        b"\x81*3\r\n$8\r\nsmessage\r\n$-1\r\n:1\r\n*2\r\n$8\r\nsmessage\r\n$1\r\na\r\n",
    ],
    "request_credentials": [
        b"authorization:Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
        b"cookie:a=b; sse_token=x.y.z\nticket:a.b.c\naccess_token:a.b.c",
    ],
    "token": [b"eyJhbGciOiJIUzI1NiJ9.e30.AAAA", b"eyJhbGciOiJub25lIn0.e30."],
    "claims": [b'{"sub":"u","exp":1900000000,"scope":"admin x","channels":["job:*"],"aud":["a"],"iat":1e9,"nbf":1}'],
    "key_set": [
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"a"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},'
        b'{"kty":"OKP","crv":"Ed25519","x":"AA"}]}'
    ],
    "json_body": [b'{"channel":"topic:a","type":"t","data":[[[{"a":"\\"]"}]]]}', b"[" * 33 + b"]" * 33],
    "event_stream": [b"\x03\xef\xbb\xbfretry: 10\nid: 1\nevent: t\r\ndata: a\rdata:b\n\n: c\nid\n\ndata\n\n"],
    "read_reply": [
        b"abcdefgh\n2\naB3_-x\n1 abcdefgh 1 aaaaaa - 0 t\n",
        b'abcdefgh\n1\naaaaaa\njob_id\n"j"\nstatus\n"active"',
        b"\n0\n-\nj1\n\xff",
        b"abcdefgh\ninf\n-",
    ],
    "step_reply": [b'"active"\n1\ntrue', b'"a"\n\xff\n', b"\xff", b"[" * 1100],
    "order": [
        b'{"disconnect":"ann","revoked":1900000000}',
        b'{"disconnect":"ann","revoked":1e999,"at":1}',
        b"[1]",
        b'{"ask":"a"}',
        b'{"known":"a"}',
    ],
    "kept_orders": [b"1900000000 ann\ninf x\n-1 y\nnan z\n1.5 \xff\n1 "],
    "node_counts": [
        b"ch:client:ann=3\nch:broadcast=99999999999999999999\nstreams=-1\nversion=1\ndelivered=1 2 3",
        b"a=1\nb=2\nc=3\nd=4\ne=5\nf=6\ng=7\nh=" + b"1 " * 16,
    ],
    "news": [b"5-1\nt=joined\nc=ann\nn=1", b"5-1\nt=reset", b"1 abcdefgh 1 aaaaaa - 5 presence.left 5-1\n{}"],
    "poll_turn": [
        b"j1\n1794999999000\n0\n\xff\n1\n1\nj2\n-1\ninf\nevents\n1\n1",
        b"j\n" + b"9" * 400 + b"\n" + b"9" * 400,
    ],
    "ticket_secrets": [b"a" * 43 + b"\n" + b"b" * 43 + b"\n1", b"a" * 43 + b"\n\n", b"a" * 42 + b"\xe9\n" + b"b" * 43],
    "presence_rows": [b"n1=3\nn2=1\n\nann\nbob", b"n1=\xff\nn2=-1\n\nan n\n\xff\n{x}", b"=" + b"9" * 15 + b"\na=1\n\n"],
    "job_state": [
        b'job_id="j"\nkind="k"\nstatus="active"\nprogress=1\nitem:status:f1="done"\nerror={"message":"x"}\nmeta={}',
        b"job_id=1\nstatus=[]\nprogress=x\nitem:=1\nitem:a=2",
        b'job_id="j"\nstatus="done"',
        b'job_id="j"\nstatus="active"\nowner=u\nerror="x"\nmeta=1\ncreated_at="now"\n\xff=1',
    ],
}
"""What a fuzzer begins with."""
