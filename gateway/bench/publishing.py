"""The load client's side of the process that publishes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from types import TracebackType
from typing import Any, Final, Self, cast

from gateway.bench.latencies import Latencies

STOP_S: Final = 15.0


class PublishingProcess(asyncio.SubprocessProtocol):
    """``async with``: a process that does nothing before :meth:`start`; it cleans up and ends with the block."""

    def __init__(self, order: dict[str, Any], late: Latencies) -> None:
        """``late`` is told how old its words are when they are read here: as late as the events are, then."""
        self._order = order
        self._late = late
        self._line = b""
        self.published = 0
        self.seconds = 0.0
        """Since the first event; grows until the last one."""
        self.error = ""
        """Why it had to stop; empty where all went well."""
        self.call_ms: dict[str, float | None] = {}
        """How long one call of the publisher took."""
        self._done = asyncio.Event()
        self._exited = asyncio.Event()

    async def start(self) -> None:
        """Publish. Returns when the last event is out."""
        self._stdin.write(json.dumps(self._order).encode() + b"\n")
        await self._done.wait()

    async def stop(self) -> None:
        """Publish nothing any more. Returns when it is known how much was."""
        self._stdin.write(b"stop\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._done.wait()

    async def __aenter__(self) -> Self:
        # The order goes over stdin, because it may hold a password.
        self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            sys.executable,
            "-m",
            "gateway.bench.pacer",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
            start_new_session=True,
        )
        self._stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await self._exited.wait()
        self._transport.close()  # kills it where it still runs

    # asyncio ---

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        now = time.monotonic_ns()
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            self._late.add(max(0, now - told["told_ns"]))
            self.published, self.seconds = told["published"], told["seconds"]
            if told.get("done"):
                self.error, self.call_ms = told["error"], told["call_ms"]
                self._done.set()

    def process_exited(self) -> None:
        if not self._done.is_set():
            self.error = self.error or "The process that publishes ended unexpectedly."
        self._done.set()
        self._exited.set()
