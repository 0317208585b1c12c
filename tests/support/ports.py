"""Free TCP ports on the loopback address, which nobody else is given a moment later."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
from collections.abc import Iterator
from typing import Final

HOST = "127.0.0.1"
FIRST, PER_WORKER, WORKERS = 11_000, 1_300, 16
"""Below the ports that Linux gives to whoever connects or asks for any port (from 32,768 on): what was chosen here
stays free while a test stops its server and starts it again."""


def _own_range() -> Iterator[int]:
    """Round and round the ports of this process, from another one on in each: test workers have ranges of their own."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or WORKERS - 1) % WORKERS
    first = FIRST + worker * PER_WORKER
    return itertools.cycle(first + (os.getpid() + n) % PER_WORKER for n in range(PER_WORKER))


_ports: Final = _own_range()


def free_port() -> int:
    """A port that nobody listened on a moment ago. Another process may take it first: callers try again."""
    for port in itertools.islice(_ports, PER_WORKER):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError(f"None of the {PER_WORKER} ports of this process is free.")


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections and that nobody else is given meanwhile: taken, but not listened on."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]
