"""Viewers of answers: ``PORT ANSWERS VIEWERS PATH [HEADER]``, PATH with ``{}`` for the answer's number.

Says ``open`` when all streams are; for each line on stdin it says how many pieces have arrived since the last, and how
old they were.
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
from collections import Counter
from typing import ClassVar

from tests.bench.answers.pace import age_ms
from tests.support.ports import HOST

_TEXT = re.compile(rb'"text": ?"([^"]*)"')


class Viewer(asyncio.Protocol):
    """One stream. What was read of an event that is not complete yet waits for its rest."""

    ages: ClassVar[Counter[int]] = Counter()
    open: ClassVar[int] = 0

    def __init__(self, path: str, header: str) -> None:
        self._asked = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n{header}\r\n"
        self._rest = b""
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"{self._asked}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._begun and b"\r\n\r\n" in data:
            self._begun = True
            Viewer.open += 1
        end = 0
        for found in _TEXT.finditer(data):
            end = found.end()
            for age in age_ms(found[1].decode()):
                Viewer.ages[bucket(age)] += 1
        self._rest = data[end:][-65_536:]


def bucket(ms: float) -> int:
    """The lower edge in microseconds of a bucket that is 3 % wide."""
    return int(1.03 ** int(math.log(max(1.0, ms * 1000), 1.03)))


async def main(port: int, answers: int, viewers: int, path: str, header: str = "") -> None:
    loop = asyncio.get_running_loop()
    header = f"{header}\r\n" if header else ""
    for number in range(answers):
        for _ in range(viewers):
            await loop.create_connection(lambda number=number: Viewer(path.format(number), header), HOST, port)  # type: ignore[misc]
    while Viewer.open < answers * viewers:
        await asyncio.sleep(0.01)
    print("open", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(" ".join(f"{edge}:{count}" for edge, count in Viewer.ages.items()), flush=True)
        Viewer.ages.clear()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
