"""``python -m gateway.demo.fake_broker PORT``: a stand-in for Redis where no real server can be had (Windows). Slow,
and for development only."""

from __future__ import annotations

import os
import sys
import threading

from fakeredis import TcpFakeServer


def main(port: int) -> None:
    """Serve until stdin ends, which it does with the parent."""
    server = TcpFakeServer(("127.0.0.1", port))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)  # its threads, one per connection, would keep the process for ever


if __name__ == "__main__":
    main(int(sys.argv[1]))
