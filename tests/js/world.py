"""What the JavaScript tests run against: two real nodes, a proxy in front of them, and a way to break them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from publisher import Publisher
from tests.support.node import Node
from tests.support.ports import HOST
from tests.support.proxy import Proxy
from tests.support.tokens import SECRET


class World:
    """Clients connect through the proxy. A control server does what a test's ``control(action, argument)`` asks for."""

    def __init__(self, redis_url: str, prefix: str) -> None:
        fast: dict[str, Any] = {"RETRY_MS": "100-300", "HEARTBEAT_S": 0.3, "JOB_WAIT_S": 0.3, "DRAIN_S": 1}
        self.nodes = [Node(redis_url, prefix, **fast), Node(redis_url, prefix, **fast)]
        self.crowded = Node(redis_url, prefix, **{**fast, "MAX_CONNECTIONS_PER_USER": 1})
        self.proxy = Proxy(0)
        self._publisher = Publisher.from_url(redis_url, prefix=prefix)
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self._do))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def environment(self) -> str:
        """What a test reads as ``WORLD``. Workers publish over the node that no test breaks."""
        return json.dumps(
            {
                "base": self.proxy.base,
                "publish": self.crowded.base,
                "crowded": self.crowded.base,
                "nodes": [node.base for node in self.nodes],
                "control": f"http://{HOST}:{self._server.server_address[1]}",
                "secret": SECRET,
            }
        )

    def mend(self) -> None:
        """Everything runs as at the beginning."""
        for node in self.nodes:
            if node.exit_code is not None:
                node.start()
        self.proxy.restore()
        self.proxy.target_port = self.nodes[0].port

    def __enter__(self) -> Self:
        everything = [*self.nodes, self.crowded]
        try:
            for node in everything:
                node.start(wait_ready=False)
            for node in everything:
                node.wait_ready()
        except BaseException:
            for node in everything:
                node.close()
            raise
        self.proxy.target_port = self.nodes[0].port
        self.proxy.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.proxy.close()
        self._publisher.close()
        for node in [*self.nodes, self.crowded]:
            node.close()

    def _do(self, action: str, argument: str) -> None:
        actions: dict[str, Callable[[], object]] = {
            "kill": lambda: self.nodes[int(argument)].kill(),
            "start": lambda: (self.nodes[int(argument)].wait(), self.nodes[int(argument)].start()),
            "stop": lambda: self.nodes[int(argument)].terminate(),
            "target": lambda: setattr(self.proxy, "target_port", self.nodes[int(argument)].port),
            "cut": self.proxy.cut,
            "blackhole": self.proxy.blackhole,
            "refuse": self.proxy.refuse,
            "restore": self.proxy.restore,
            "answer": lambda: self._register_answer(*argument.split(",")),
        }
        actions[action]()

    def _register_answer(self, chat: str, owner: str, job_id: str) -> None:
        self._publisher.create_answer(chat, owner=owner, job_id=job_id)


def _handler(do: Callable[[str, str], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            _, action, argument = self.path.split("/")
            try:
                do(action, argument)
            except Exception as error:
                self._answer(500, repr(error).encode())
            else:
                self._answer(200, b"{}")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on stderr."""

    return Handler
