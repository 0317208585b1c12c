"""What people write by hand; see ``tests/bench/handwritten.py``."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import ClassVar, Final, Self

import redis

from tests.bench import payload
from tests.bench.load import Request
from tests.bench.processes import give_own_core
from tests.bench.systems.system import System
from tests.support.broker import Broker
from tests.support.ports import HOST, free_port

START_S: Final = 20


def missing() -> str:
    """Why it cannot be measured here, "" if it can."""
    if importlib.util.find_spec("sse_starlette"):
        return ""
    return "The hand-written server is left out: pip install 'sse-gateway[bench]'."


class Handwritten(System):
    """No history, no resume. With 10,000 clients it would need as many connections to Redis."""

    name = "handwritten"
    label = "sse-starlette by hand"
    burst_deliveries = 25_000
    most_connections = 2000
    resumes = False

    application: ClassVar[str] = "tests.bench.handwritten:app"

    def __init__(self) -> None:
        self.port = free_port()
        self._parts = ExitStack()
        self._broker = Broker()
        self._process: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None

    @property
    def pids(self) -> Sequence[int]:
        assert self._process is not None
        return (self._process.pid,)

    @property
    def url(self) -> str:
        """Of its Redis."""
        return self._broker.url

    @property
    def redis_pid(self) -> int | None:
        return self._broker.pid

    def request(self, channel: str) -> Request:
        return Request(f"/{channel}")

    def send(self, channel: str) -> None:
        assert self._client is not None
        self._client.publish(channel, payload.encoded())

    def send_many(self, channels: Iterable[str]) -> None:
        assert self._client is not None
        pipe = self._client.pipeline(transaction=False)
        for channel in channels:
            pipe.publish(channel, payload.encoded())
        pipe.execute()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._parts.close()

    def _start(self) -> None:
        self._parts.enter_context(self._broker)
        self._client = self._parts.enter_context(redis.Redis.from_url(self._broker.url))
        command = [sys.executable, "-m", "uvicorn", self.application, "--host", HOST]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), "--log-level", "error", "--backlog", "4096"],
            env={**os.environ, "BENCH_REDIS_URL": self._broker.url},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._parts.callback(self._stop)
        self._wait_until_it_listens()
        give_own_core(self._process.pid)

    def _stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _wait_until_it_listens(self) -> None:
        import socket

        assert self._process is not None
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError("The hand-written server did not start.") from None
                time.sleep(0.02)
