"""A real HTTP endpoint for key sets, which tests can let fail, stall or answer nonsense."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.support.ports import HOST
from tests.support.tokens import KeyPair


class KeyServer:
    """Serves the keys it is given. ``fetches`` counts requests; ``status``, ``body`` and ``headers`` may be changed."""

    def __init__(self, **keys: KeyPair) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.fetches = 0
        self.open = threading.Event()
        """While this is cleared, requests wait."""
        self.open.set()
        self.dribbling = False
        """While this is set, the head of an answer comes byte by byte and does not end."""
        self.serve(**keys)
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}/keys"

    def serve(self, **keys: KeyPair) -> None:
        """From now on answer with these keys; the names are the key ids."""
        self.serve_json({"keys": [pair.jwk(kid) for kid, pair in keys.items()]})

    def serve_json(self, data: Any) -> None:
        self.body = json.dumps(data).encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open.set()
        self.dribbling = False
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.fetches += 1
                server.open.wait(10)
                if server.dribbling:
                    self._dribble()
                    return
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            def _dribble(self) -> None:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    while server.dribbling:
                        self.wfile.write(b"x")
                        time.sleep(0.02)

            def log_message(self, *_: object) -> None:
                """The test's output is not the place."""

        return Handler
