"""``python -m gateway.demo.node NAME SOCKET CONTROL [lab]``: a node of ``dev``, on the socket that it has inherited.

SOCKET and CONTROL are file descriptors; with ``lab`` its pages may take processes away. Everything else is in the
environment, as for any node.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

from starlette.routing import BaseRoute

from gateway import serving
from gateway.demo import routes as demo
from gateway.demo import tokens
from gateway.demo.lab import Lab
from gateway.http.endpoint import Endpoints
from gateway.node import Node
from gateway.settings.settings import Settings


def main(name: str, listening: int, control: int, offers_lab: bool) -> int:
    """Serve until SIGTERM, or the end of ``dev``; the exit code."""
    lab = Lab(name, control)

    def routes(node: Node, endpoint: Endpoints) -> list[BaseRoute]:
        jobs = demo.routes(endpoint, node.callers, node.publisher, node.settings, node.ticket_key)
        return [*tokens.routes(endpoint, node.settings), *jobs, *(lab.routes() if offers_lab else [])]

    def started(process: serving.ServingProcess) -> None:
        lab.up(process.node.id)
        lab.listen()

    # Until the server takes signals itself: there is nothing yet that would have to be cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    settings = Settings.from_env(os.environ)
    with socket.socket(fileno=listening) as sock:
        return serving.run(settings, sock, dev=True, extra=routes, started=started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] == ["lab"]))
