"""A real HTTP proxy with the faults of badly configured ones: it buffers, compresses, drops headers, cuts."""

from __future__ import annotations

import http.client
import threading
import zlib
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.ports import HOST


@dataclass(frozen=True)
class Faults:
    """What the proxy does to a body. Without any it passes everything on as it comes."""

    hold_bytes: int = 0
    """Keep the body back until there is as much of it."""
    gzip: bool = False
    drop: frozenset[str] = frozenset()
    """Names of headers, in lower case, that get lost."""
    cut_after: int = 0
    """Close the connection after so many pieces of the body, without an end."""
    old: bool = False
    """Answer in HTTP/1.0."""


class WebProxy:
    """Passes GET requests on to a node on ``target_port``."""

    def __init__(self, target_port: int, faults: Faults) -> None:
        self._server = ThreadingHTTPServer((HOST, 0), _handler(target_port, faults))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(target_port: int, faults: Faults) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0" if faults.old else "HTTP/1.1"

        def do_GET(self) -> None:
            upstream = http.client.HTTPConnection(HOST, target_port, timeout=30)
            try:
                upstream.request("GET", self.path, headers={**dict(self.headers.items()), "Connection": "close"})
                answer = upstream.getresponse()
                self._head(answer)
                self._body(answer)
            except (OSError, http.client.HTTPException):
                pass  # the client has seen enough, or the node was stopped
            finally:
                self.close_connection = True
                upstream.close()

        def _head(self, answer: http.client.HTTPResponse) -> None:
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", *faults.drop}:
                    self.send_header(name, value)
            if faults.gzip:
                self.send_header("Content-Encoding", "gzip")
            if not faults.old:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def _body(self, answer: http.client.HTTPResponse) -> None:
            packer = zlib.compressobj(wbits=31) if faults.gzip else None
            held = b""
            pieces = 0
            while piece := answer.read1(65_536):
                held += piece
                pieces += 1
                if len(held) >= faults.hold_bytes:
                    self._write(packer.compress(held) + packer.flush(zlib.Z_SYNC_FLUSH) if packer else held)
                    held = b""
                if pieces == faults.cut_after:
                    return
            self._write(held)
            self._write(b"", last=True)

        def _write(self, data: bytes, *, last: bool = False) -> None:
            if faults.old:
                self.wfile.write(data)
            elif data or last:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

        def log_message(self, *_: object) -> None:
            """The test's output is not the place."""

    return Handler
