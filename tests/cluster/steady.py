"""A publisher in a process of its own: ``python -m tests.cluster.steady ORDERS``, with orders as JSON.

At a steady rate it publishes numbered events on some channels and runs one job after the other, and says on standard
output, one JSON list per line, what it is about to send and what became of it: what must arrive, and nothing else.
It ends the running job and itself when its standard input is closed.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from publisher import Publisher, PublishError
from publisher.blocking.job_handle import JobHandle
from tests.cluster.ledger import ITEM, STEP, TOKEN, job_number

KIND, OWNER, META = "character", "user-1", {"provider_id": "p1"}


@dataclass(frozen=True)
class Orders:
    """``numbers`` is where to go on after an earlier life, ``jobs`` how many to run (0: until told to stop)."""

    url: str
    prefix: str
    channels: list[str]
    numbers: dict[str, int]
    rate: float = 8.0
    steps: int = 40
    jobs: int = 0
    first_job: int = 1
    first_step: int = 1


def say(*words: Any) -> None:
    print(json.dumps(words), flush=True)


class Steady:
    """One life of the publisher."""

    def __init__(self, orders: Orders, publisher: Publisher) -> None:
        self._orders = orders
        self._publisher = publisher
        self._numbers = dict(orders.numbers)
        self._stop = threading.Event()
        self._due = time.monotonic()

    def listen(self) -> None:
        """Stop at the end of standard input."""
        sys.stdin.read()
        self._stop.set()

    def run(self) -> None:
        orders = self._orders
        number, step = orders.first_job, orders.first_step
        while not self._stop.is_set() and (not orders.jobs or number < orders.first_job + orders.jobs):
            self._run_job(f"job-{number}", number, step)
            number, step = number + 1, 1

    def _run_job(self, job_id: str, number: int, first_step: int) -> None:
        steps = self._orders.steps
        announced = False
        with self._publisher.job(job_id, kind=KIND, owner=OWNER, meta=META) as job:
            for step in range(first_step, steps + 1):
                if self._stop.is_set():
                    break
                self._pace()
                announced = announced or self._announce(job_id)
                self._report(job, job_id, step)
                self._tick()
            if number % 5 == 0:
                job.fail("The paint has run out.", code="no_paint")
            else:
                job.complete(result={"output": ["done.png"]})
        if not announced:
            say("job", job_id)
        say("ended", job_id, "failed" if number % 5 == 0 else "completed")

    def _announce(self, job_id: str) -> bool:
        """Tell of the job as soon as it is there: who watches a job that is not gets a 404, rightly."""
        try:
            there = self._publisher.get_job(job_id) is not None
        except PublishError:
            return False
        if there:
            say("job", job_id)
        return there

    def _pace(self) -> None:
        self._due = max(self._due + 1 / self._orders.rate, time.monotonic() - 1)
        self._stop.wait(max(0.0, self._due - time.monotonic()))

    def _report(self, job: JobHandle, job_id: str, step: int) -> None:
        channel = f"job:{job_id}"
        say("asked", channel, job_number(step, STEP))
        job.progress(
            100 * step / (self._orders.steps + 1), current=step, total=self._orders.steps, message=f"Step {step}"
        )
        if step % 2:
            say("asked", channel, job_number(step, ITEM))
            job.item(f"file-{step % 3}", filename="a.png", status="processing", message=str(step))
            say("kept", channel, job_number(step, ITEM))
        else:
            say("asked", channel, job_number(step, TOKEN))
            job.emit("token", {"n": step})
            say("kept", channel, job_number(step, TOKEN))

    def _tick(self) -> None:
        for channel in self._orders.channels:
            number = self._numbers[channel] = self._numbers.get(channel, 0) + 1
            say("asked", channel, number)
            receipt = self._publisher.publish(channel, "tick", {"on": channel, "n": number})
            if receipt is None:
                say("kept", channel, number)
            else:
                say("accepted", channel, number, receipt.epoch, receipt.seq)


def main(text: str) -> None:
    orders = Orders(**json.loads(text))
    with Publisher.from_url(orders.url, prefix=orders.prefix, on_error="buffer", flush_timeout_s=60) as publisher:
        steady = Steady(orders, publisher)
        threading.Thread(target=steady.listen, daemon=True).start()
        steady.run()
    say("bye")


if __name__ == "__main__":
    main(sys.argv[1])
