"""What a delivery costs in each dialect: the same job, watched by a thousand."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from tests.bench import payload
from tests.bench.audience import settle
from tests.bench.load import Request
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.rounds import alternate
from tests.bench.systems.gateway import Gateway

NAME: Final = "dialects"
SUMMARY: Final = "a job's progress to 1,000 viewers in each dialect (clients: an event of the same size)"
COLUMNS: Final = ("cpu_us", "bytes_per_delivery")
JOB: Final = "1"
KIND: Final = "character"
CLIENT: Final = "viewer"
RATE: Final = 30


class Dialect(NamedTuple):
    name: str
    path: str


DIALECTS: Final = (
    Dialect("native", f"/v1/jobs/{JOB}/events"),
    Dialect("jobs", f"/api/v1/sse/jobs/{KIND}/{JOB}"),
    Dialect("clients", f"/api/sse/subscribe/{CLIENT}"),
    Dialect("generation", f"/api/generation?sessionId={JOB}"),
    Dialect("tasks", f"/api/v1/status/tasks/{JOB}/stream"),
    Dialect("video", f"/jobs/{JOB}/stream"),
)


def run(options: RunOptions) -> list[Row]:
    connections = options.connections_or(1000)[0]
    events = round(RATE * options.seconds_or(2.0))
    with Gateway() as system:
        system.publisher.create_job(JOB, kind=KIND)

        def measure(dialect: Dialect) -> Sample:
            with system.listen([Request(dialect.path)]) as client:
                client.count_by("blank")
                client.open(connections)
                settle(system)
                seen, sent, cpu, start = client.events(), client.bytes(), system.cpu(), time.monotonic()
                for number in range(events):
                    time.sleep(max(0.0, start + number / RATE - time.monotonic()))
                    _say(system, dialect, number)
                client.wait(seen + events * connections)
                figures = {
                    "cpu_us": (system.cpu() - cpu) / (events * connections) * 1e6,
                    "bytes_per_delivery": (client.bytes() - sent) / (events * connections),
                }
            settle(system)
            return Sample(figures)

        found = alternate(DIALECTS, options.rounds_or(3), measure, lambda each: each.name, NAME)
    setting = f"{connections:,} connections, {RATE} events/s"
    return [
        Row(NAME, setting, dialect.name, dialect.name, samples)
        for dialect, samples in zip(DIALECTS, found, strict=True)
    ]


def _say(system: Gateway, dialect: Dialect, number: int) -> None:
    if dialect.name == "clients":
        system.publisher.send(CLIENT, "tick", payload.data())
    else:
        system.publisher.update_job(JOB, progress=number % 100, message=payload.message())
