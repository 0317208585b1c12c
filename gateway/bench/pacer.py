"""Publishes at a steady pace, in a process of its own so that the load client's work does not make it late.

``python -m gateway.bench.pacer``: the first line on stdin says what to do, any further one means stop, and its end
means clean up and go. On stdout it tells how far it is, one JSON object per line.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from typing import Any, Final

from gateway.bench import numbers
from gateway.bench.latencies import Latencies
from gateway.bench.sinks import HttpSink, RedisSink, Sink, SinkError

MAX_BATCH: Final = 200
MAX_BATCH_BYTES: Final = 500_000
LEAST_PAUSE_S: Final = 0.001
TELL_S: Final = 0.02
"""How often it tells how far it is; how late that is read shows how late events are read."""


class Pacer:
    """``order`` is what :class:`gateway.bench.publishing.PublishingProcess` sends."""

    def __init__(self, order: dict[str, Any], sink: Sink, stop: threading.Event) -> None:
        self._channels = [numbers.channel(order["run"], index) for index in range(order["channels"])]
        self._rate = float(order["rate"])
        self._total = max(1, round(self._rate * order["seconds"]))
        self._seconds = float(order["seconds"])
        self._size = int(order["payload_bytes"])
        self._batch = max(1, min(MAX_BATCH, MAX_BATCH_BYTES // max(1, self._size)))
        self._sink = sink
        self._stop = stop
        self._published = 0
        self._calls = Latencies()

    def run(self) -> None:
        """Until all are out, the time is over, or it is told to stop."""
        error = ""
        started = told = time.monotonic()
        try:
            while self._published < self._total and not self._stop.is_set():
                now = time.monotonic()
                if now - started > self._seconds:
                    break  # it could not keep up: a load test ends when it was to end
                if now - told > TELL_S:
                    told = now
                    self._tell(now - started)
                ready = numbers.due(now - started, self._rate, self._total) - self._published
                if ready > 0:
                    self._send(min(ready, self._batch))
                else:
                    pause = started + self._published / self._rate - now
                    self._stop.wait(min(TELL_S, max(LEAST_PAUSE_S, pause)))
        except SinkError as trouble:
            error = str(trouble)
        self._tell(time.monotonic() - started, done=True, error=error, call_ms=self._calls.summary((50, 99)))

    def clean(self) -> None:
        self._sink.clean(self._channels)

    def _send(self, count: int) -> None:
        now = time.monotonic_ns()
        batch = []
        for event in range(self._published, self._published + count):
            channel, number = numbers.place(event, len(self._channels))
            batch.append((self._channels[channel], numbers.TYPE, numbers.data(number, now, self._size)))
        self._sink.send(batch)
        self._calls.add(time.monotonic_ns() - now)
        self._published += count

    def _tell(self, seconds: float, **more: object) -> None:
        told = {"published": self._published, "seconds": seconds, **more, "told_ns": time.monotonic_ns()}
        print(json.dumps(told), flush=True)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the load client decides
    line = sys.stdin.readline()
    if not line:
        return  # there is nothing to do: no stream could be opened
    order = json.loads(line)
    stop, over = threading.Event(), threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        stop.set()
        sys.stdin.read()
        over.set()

    threading.Thread(target=listen, daemon=True).start()
    sink: Sink
    if order["publish_url"]:
        sink = HttpSink(order["publish_url"], order["publish_token"])
    else:
        sink = RedisSink(order["redis_url"], order["prefix"], order["max_event_bytes"])
    pacer = Pacer(order, sink, stop)
    with contextlib.suppress(BrokenPipeError):
        pacer.run()
    over.wait()
    pacer.clean()
    sink.close()


if __name__ == "__main__":
    main()
