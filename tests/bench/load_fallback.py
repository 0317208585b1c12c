"""The load client where there is no C compiler: the commands and answers of ``load.c``, a good deal slower."""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time
from collections import Counter
from typing import Final

MARK: Final = re.compile(rb"@(\d{16})")
LAST_ID: Final = re.compile(rb"^id: (.*)$", re.MULTILINE)
PART: Final = 16
"""The most of a mark that may be missing at the end of what was read."""


class RawStream:
    """One connection."""

    def __init__(self, request: str) -> None:
        self.request = request
        self.socket: socket.socket | None = None
        self.opened = False
        self.rest = b""
        self.last_id = b""


class Client:
    def __init__(self, host: str, port: int, plan: list[str]) -> None:
        self._address = (host, port)
        self._plan = plan
        self._streams: list[RawStream] = []
        self._made = 0
        self._selector = selectors.DefaultSelector()
        self._events = self._bytes = 0
        self._late: Counter[int] = Counter()
        self._blank = self._track = False

    def obey(self, line: str) -> str:
        command, *words = line.split()
        if command == "open":
            return self._open(int(words[0]))
        if command == "wait":
            return self._wait(int(words[0]), int(words[1]))
        self._drain()
        if command == "count":
            return f"{self._events} {self._bytes}"
        if command == "close":
            return self._close()
        if command == "histogram":
            late, self._late = self._late, Counter()
            return " ".join(f"{edge}:{count}" for edge, count in late.items())
        if command == "track":
            self._track = words[0] == "1"
        elif command == "mode":
            self._blank = words[0] == "blank"
        return "1"

    def _open(self, streams: int) -> str:
        start = time.monotonic_ns()
        for _ in range(streams):
            if self._made == len(self._streams):
                self._streams.append(RawStream(self._plan[self._made % len(self._plan)]))
            self._connect(self._streams[self._made])
            self._made += 1
            self._drain()
        while not all(stream.opened for stream in self._streams[: self._made]):
            self._drain(0.05)
        return f"{self._made} {start} {time.monotonic_ns()}"

    def _connect(self, stream: RawStream) -> None:
        path, *headers = stream.request.split("\t")
        host, port = self._address
        if path.startswith(":"):
            number, _, rest = path[1:].partition("/")
            port, path = int(number), f"/{rest}"
        if stream.last_id:
            headers.append(f"Last-Event-ID: {stream.last_id.decode()}")
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Accept: text/event-stream", *headers, "", ""]
        stream.opened, stream.rest = False, b""
        stream.socket = socket.create_connection((host, port))
        stream.socket.sendall("\r\n".join(lines).encode())
        stream.socket.setblocking(False)
        self._selector.register(stream.socket, selectors.EVENT_READ, stream)

    def _wait(self, events: int, milliseconds: int) -> str:
        until = time.monotonic() + milliseconds / 1000
        while self._events < events and time.monotonic() < until:
            self._drain(0.05)
        return f"{self._events} {time.monotonic_ns()}"

    def _close(self) -> str:
        for stream in self._streams[: self._made]:
            assert stream.socket is not None
            self._selector.unregister(stream.socket)
            stream.socket.close()
        closed, self._made = self._made, 0
        return str(closed)

    def _drain(self, timeout_s: float = 0) -> None:
        for key, _ in self._selector.select(timeout_s):
            self._receive(key.data)

    def _receive(self, stream: RawStream) -> None:
        assert stream.socket is not None
        data = stream.socket.recv(1 << 18)
        if not data:
            raise SystemExit("load: a connection ended: the server closed it")
        if not stream.opened and not data.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"load: refused: {data[:200]!r}")
        stream.opened = True
        self._bytes += len(data)
        data = stream.rest + data
        if self._track and (found := LAST_ID.findall(data)):
            stream.last_id = found[-1].strip()
        self._count(stream, data)

    def _count(self, stream: RawStream, data: bytes) -> None:
        if self._blank:
            self._events += data.count(b"\n\n")
            stream.rest = b"\n" if data.endswith(b"\n") and not data.endswith(b"\n\n") else b""
            return
        now, end = time.monotonic_ns() // 1000, 0
        for found in MARK.finditer(data):
            self._events += 1
            self._late[max(0, now - int(found[1]))] += 1
            end = found.end()
        stream.rest = data[max(end, len(data) - PART) :]


def main() -> None:
    host, port, plan = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(plan, encoding="utf-8") as file:
        client = Client(host, port, file.read().splitlines())
    for line in sys.stdin:
        print(client.obey(line), flush=True)


if __name__ == "__main__":
    main()
