"""uvicorn's HTTP protocol with bounds: what a request may take of bytes, time and the loop's turns, and what is kept.

Nothing is parsed, kept or waited for without one. The bounds in bytes are those of :mod:`gateway.sockets.allowance`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, ClassVar, Final, Protocol

import httptools
import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.auth.client_address import TrustedProxies, caller_of
from gateway.logs.log import Log
from gateway.sockets import allowance
from gateway.sockets.allowance import Allowance, Excess
from gateway.sockets.answering import Answering
from gateway.sockets.body_room import BodyRoom
from gateway.sockets.crowd import Crowd
from gateway.sockets.stops import NoRoom, OtherVersion, TooEarly, TooMuch
from gateway.sockets.time_limit import TimeLimit
from gateway.sockets.unread import unread

log = Log("gateway.http")

EXTENSION: Final = "sse_gateway.peer"
HEAD_TIMEOUT_S: Final = 10.0
REST_TIMEOUT_S: Final = 5.0
"""How long the rest of a body is taken in that was answered already: who is cut off at once may miss the answer."""
REST_BYTES: Final = 4 * allowance.MAX_CONTENT_BYTES
"""How much of it."""
HIGH_WATER: Final = 32 * 1024
SLICE_BYTES: Final = 8 * 1024
"""What a connection is heard for in one turn of the loop; then it is the others' turn."""
VERSIONS: Final = ("1.1", "1.0")
OWN: Final = frozenset({"parser", "pipeline"})
"""What a connection does not share with others from the start."""
UNHEARD_BYTES: Final = 64 * 1024
"""The same for what is not read."""
UNHEARD_PAUSE_S: Final = 0.01
"""Between two such slices: who floods a connection that is over should not keep the loop busy with it."""
_SLICE: Final = memoryview(bytearray(SLICE_BYTES))
"""Where the bytes of every connection come in: they are taken out before another one is heard."""
_UNHEARD: Final = memoryview(bytearray(UNHEARD_BYTES))


class FindsAnswers(Protocol):
    """Where a request goes first."""

    def __call__(self, scope: Scope) -> ASGIApp | None:
        """What answers a request, which has come as this scope; None for the application."""


class RequestProtocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """One TCP connection.

    It serves one request at a time. A request that is sent before the answer to the last one (pipelining, which no
    browser and no common proxy does) is not read: the connection ends with that answer.
    """

    crowd: ClassVar[Crowd]
    """The node's sockets whose peer is to speak next."""
    bodies: ClassVar[BodyRoom]
    trusted: ClassVar[TrustedProxies]
    """Whose sockets are not counted by address."""
    router: ClassVar[FindsAnswers]
    time_for_heads: ClassVar[TimeLimit]
    """For heads of requests, from the first moment at which one may come."""
    serves: ClassVar[ServerState | None] = None
    """The server with whose connections the class has in common what they begin with."""
    parting: ClassVar[bool] = False
    """Whether every connection ends with its next answer: whoever has more to ask is to go to another node."""
    _timer: asyncio.TimerHandle | None = None
    _deaf: bool = False
    """Whether nothing more is read: the connection ends with the answer that is under way, or that was given."""
    _unheard: int = 0
    """Bytes that came since."""
    _held: int = 0
    """Bytes in the room for bodies."""
    _plain: bool = False
    """Whether the request asks for another protocol and has a body, which the parser leaves out."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # uvicorn's own finds out for each connection what is the same for all of a server's: the class has that then.
        made = type(self)
        if made.serves is server_state:
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.pipeline = deque()
            return
        super().__init__(config, server_state, app_state, _loop)
        if made.serves is None:
            made.serves = server_state
            for name in vars(self).keys() - OWN:
                setattr(made, name, getattr(self, name))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # uvicorn's own would ask the kernel again for what asyncio knows.
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = _address(transport.get_extra_info("sockname"))
        self.client = _address(transport.get_extra_info("peername"))
        self.scheme = "http"
        self._allowance = Allowance()
        self._address = self._counted_address()
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self.time_for_heads.begin(self)
        self.crowd.come(self, self._address, len(self.connections))

    def _counted_address(self) -> str | None:
        if self.client is None:
            return None  # a Unix socket
        return None if self.client[0] in self.trusted else caller_of(self.client[0])

    def abort(self) -> None:
        """End it at once: others need the place more."""
        self.transport.abort()

    # Requests are bounded in size and time ---

    def get_buffer(self, sizehint: int) -> memoryview:
        return _UNHEARD if self._deaf else _SLICE

    def buffer_updated(self, nbytes: int) -> None:
        if self._deaf:
            self._overlook(nbytes)
        else:
            self.data_received(_SLICE[:nbytes].tobytes())

    def _overlook(self, size: int) -> None:
        self._unheard += size
        if self._unheard > REST_BYTES:
            self.transport.abort()
        else:
            self.flow.pause_reading()
            self.loop.call_later(UNHEARD_PAUSE_S, self.flow.resume_reading)

    def data_received(self, data: bytes) -> None:
        request = self._allowance
        if request.in_head:
            self.time_for_heads.begin(self)
        request.received(len(data))
        self._unset_keepalive_if_required()
        self._feed(data)
        excess = request.excess()
        if excess is not None:
            self._too_much(excess)

    def _feed(self, data: bytes) -> None:
        try:
            rest = self._parse(data)
            if self._plain:
                self._parse_body()
                rest = self._parse(rest)
        except httptools.HttpParserError as error:
            self._unreadable(error)
        else:
            if rest:
                self._too_early()

    def _parse(self, data: bytes) -> bytes:
        """What is left where the request asks for another protocol. There is none to change to: it is answered like any
        other request."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            at: int = upgrade.args[0]
            return data[at:]
        return b""

    def _parse_body(self) -> None:
        """Another parser for the body: the first one takes it for the other protocol."""
        framing = [(name, value) for name, value in self.headers if name in (b"content-length", b"transfer-encoding")]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % each for each in framing))
        self._plain = False

    def on_message_begin(self) -> None:
        if self._plain:
            return
        if self._busy():
            raise TooEarly
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self}  # type: ignore[dict-item]

    def on_url(self, url: bytes) -> None:
        if not self._plain:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._plain or not self._allowance.in_head:
            return  # a trailer is nobody's business
        if len(self.headers) >= allowance.MAX_HEADERS:
            raise TooMuch(Excess.HEAD)
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        if self._plain:
            return
        self._stop_timer()
        if self.parser.get_http_version() not in VERSIONS:
            raise OtherVersion
        # What came in one piece was never counted as an unfinished head.
        if allowance.head_too_large(self.url, self.headers, self._allowance.bytes):
            raise TooMuch(Excess.HEAD)
        self._plain = self.parser.should_upgrade() and any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self.headers
        )
        super().on_headers_complete()
        self._allowance.head_complete()
        self.cycle.transport = Answering(self, self.transport)  # type: ignore[assignment]
        if self.parting:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        found: Any = self.router(cycle.scope)  # type: ignore[arg-type]
        self.tasks.add(self.loop.create_task(self._answer(cycle, app if found is None else found)))

    async def _answer(self, cycle: RequestResponseCycle, app: Any) -> None:
        """uvicorn has the loop call something behind each of its tasks, which takes longer than this."""
        try:
            await cycle.run_asgi(app)
        finally:
            self.tasks.discard(asyncio.current_task(self.loop))

    def on_body(self, body: bytes) -> None:
        self._allowance.content(len(body))
        cycle = self.cycle
        if cycle.response_complete:
            return
        if not self.bodies.take(len(body)):
            raise NoRoom
        self._held += len(body)
        cycle.body += body
        if len(cycle.body) > HIGH_WATER:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._plain:
            return
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()
            self.crowd.leave(self)
        self._allowance.begin()
        self._stop_timer()

    def on_response_complete(self) -> None:
        self._forget_request()
        if self._deaf:
            self.server_state.total_requests += 1
            return
        super().on_response_complete()
        if self.transport.is_closing():
            return
        self.crowd.wait(self, self._address)
        if not self._allowance.in_head:
            self._allowance.answered()
            self._timer = self.loop.call_later(REST_TIMEOUT_S, self.transport.close)

    def _forget_request(self) -> None:
        """Keep nothing of a request that is answered: the connection may be idle for long."""
        self.bodies.give(self._held)
        self._held = 0
        self._forget_itself()
        self.scope, self.headers, self.url = None, [], b""  # type: ignore[assignment]
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            cycle.body = bytearray()
            if cycle.response_complete:
                cycle.scope = {}  # type: ignore[typeddict-item]

    def on_late(self) -> None:
        if self._allowance.begun:
            self._refuse(408, b"timeout", b"The request was not complete within 10 seconds.")
        elif self._busy():
            return
        elif unread(self.transport):
            self.time_for_heads.begin(self)  # it has asked; the one who is late is this node
        else:
            self.transport.close()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # whoever has not taken the answer until now would hold it for ever
        elif unread(self.transport):
            return  # it has asked again
        super().timeout_keep_alive_handler()

    def _busy(self) -> bool:
        """Whether a response is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _stop_timer(self) -> None:
        self.time_for_heads.end(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _unreadable(self, error: httptools.HttpParserError) -> None:
        stop = error.__context__
        if isinstance(stop, TooMuch):
            self._too_much(stop.excess)
        elif isinstance(stop, TooEarly):
            self._too_early()
        elif isinstance(stop, NoRoom):
            self._refuse(503, b"unavailable", b"Too many bodies are under way; try again later.", b"retry-after: 5\r\n")
        else:
            log.debug("request.unreadable", words=type(error).__name__)
            self._refuse(400, b"bad_request", b"This is not an HTTP/1.1 request.")

    def _too_early(self) -> None:
        """Read nothing more; the connection ends with the answer that is under way."""
        self._stop_timer()
        self._deaf = True
        self.cycle.keep_alive = False

    def _too_much(self, excess: Excess) -> None:
        if not self._busy() and not self._allowance.in_head:
            self.end_after_rest()  # it was answered
            return
        status, sentence = excess.value
        self._refuse(status, b"too_large", sentence)

    def _refuse(self, status: int, code: bytes, sentence: bytes, header: bytes = b"") -> None:
        """Answer, if nothing was answered yet, and close."""
        if self._deaf or self.transport.is_closing():
            return
        self._stop_timer()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.response_started and (self._busy() or not self._allowance.in_head):
            self.transport.abort()
            return
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # the application's own answer comes too late
            cycle.message_event.set()
        body = b'{"error":{"code":"%b","message":"%b"}}' % (code, sentence)
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: application/json\r\nconnection: close\r\n"
            + header
            + b"content-length: %d\r\n\r\n" % len(body)
            + body
        )
        self._forget_request()
        self.end_after_rest()

    # The end ---

    def part(self) -> None:
        """End with the answer that is under way, or now where one was given and nothing more has come. Whoever has just
        come is still answered."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
        elif cycle is not None and not self._allowance.begun:
            self.transport.close()

    def end(self) -> None:
        """The answer is complete, and the last one: close, as soon as the peer can have read it."""
        if self._deaf or self.cycle.more_body:
            self.end_after_rest()
        else:
            self.transport.close()

    def end_after_rest(self) -> None:
        """Say that nothing more comes, and take in for a while what the peer is still sending: if it were cut off at
        once, it would miss the answer."""
        self._stop_timer()
        self._deaf = True
        self._timer = self.loop.call_later(REST_TIMEOUT_S, self.transport.abort)
        self.crowd.wait(self, self._address)
        self.flow.resume_reading()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self.crowd.leave(self)
        super().connection_lost(exc)
        self._forget_request()
        self._unset_keepalive_if_required()  # uvicorn forgets it after a reset, and stays in memory with it

    def _forget_itself(self) -> None:
        """Break the cycle over the scope: what is closed should go at once, and not wait for the collector."""
        scope: Any = self.scope  # None before the first request
        if scope is not None:
            scope.get("extensions", {}).pop(EXTENSION, None)


def _address(found: Any) -> tuple[str, int] | None:
    """Host and port; None for a Unix socket."""
    return (found[0], found[1]) if isinstance(found, tuple) else None
