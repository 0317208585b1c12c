"""Parsers of what comes from outside, each as a function of any bytes that raises where a promise is broken.

The suite runs them on examples of hypothesis, ``make fuzz`` under a coverage-guided fuzzer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from gateway import body, cursor
from gateway.auth_errors import AuthError
from gateway.claims import principal_from_claims
from gateway.credentials import Credentials
from gateway.dialects import clients, generation, jobs, tasks, video
from gateway.encoder import Encoder
from gateway.exceptions import BadRequest
from gateway.jwks import KeySetError, parse_key_set
from gateway.jws import read_header, verified_claims
from gateway.link import Link
from gateway.principal import Principal, Source
from gateway.routes.streams import native_encoder
from gateway.settings import Settings
from gateway.sse_reader import StreamReader
from publisher import envelope, jsontext
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
    link = Link(
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
    "job_state": [
        b'job_id="j"\nkind="k"\nstatus="active"\nprogress=1\nitem:status:f1="done"\nerror={"message":"x"}\nmeta={}',
        b"job_id=1\nstatus=[]\nprogress=x\nitem:=1\nitem:a=2",
        b'job_id="j"\nstatus="done"',
        b'job_id="j"\nstatus="active"\nowner=u\nerror="x"\nmeta=1\ncreated_at="now"\n\xff=1',
    ],
}
"""What a fuzzer begins with."""
