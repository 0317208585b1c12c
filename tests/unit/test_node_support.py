"""The test's handle of a node works on any process: here a tiny server that stands in for one."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.support.node import Node, NodeError

STAND_IN = """
import http.server, os, signal, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
print(os.environ["GATEWAY_REDIS_PREFIX"], os.environ["GATEWAY_DRAIN_S"], os.environ.get("GATEWAY_LEFT_OVER"))
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
sys.exit(3)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    path = tmp_path / "stand_in.py"
    path.write_text(STAND_IN)
    return [sys.executable, str(path)]


def test_a_node_gets_its_settings_and_no_others(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_LEFT_OVER", "1")
    with Node("redis://127.0.0.1:1/0", "p", command=command, DRAIN_S=1) as node:
        assert node.log.startswith("p 1 None\n")
        assert node.readyz() == 200


def test_a_terminated_node_ends_with_its_own_exit_code(command: list[str]) -> None:
    with Node("redis://127.0.0.1:1/0", command=command, DRAIN_S=1) as node:
        assert node.exit_code is None
        node.terminate()
        assert node.wait() == 3
        assert node.readyz() == 0


def test_a_killed_node_comes_back_on_the_same_port(command: list[str]) -> None:
    with Node("redis://127.0.0.1:1/0", command=command, DRAIN_S=1) as node:
        port = node.port
        node.kill()
        assert node.exit_code == -signal.SIGKILL
        node.start()
        assert node.port == port


def test_a_node_that_ends_while_it_starts_is_told_with_its_log() -> None:
    failing = [sys.executable, "-c", "import sys; sys.exit('no such thing')"]
    with pytest.raises(NodeError, match="no such thing"), Node("redis://127.0.0.1:1/0", command=failing):
        pass
