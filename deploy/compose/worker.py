"""A worker for compose.yaml and `make stack`: one job after another, so that there is something to see.

It knows the publisher and Redis, and nothing of the nodes. GATEWAY_REDIS_URL says where Redis is.
"""

import os
import signal
import threading
import time

from publisher import Publisher, PublisherError

PAGES = 30
PAUSE_S = 0.5
stopping = threading.Event()


class Stopped(Exception):
    """The worker is to end; its job fails with that."""


def work(publisher: Publisher) -> None:
    """One job, announced to everybody on topic:demo."""
    job_id = f"demo-{time.time_ns() // 1_000_000}"
    with publisher.job(job_id, kind="demo") as job:
        publisher.publish("topic:demo", "demo-started", {"events": f"/v1/jobs/{job_id}/events"})
        for _ in job.track(range(PAGES)):
            if stopping.wait(PAUSE_S):
                raise Stopped("The worker was stopped.")
        job.complete(result={"pages": PAGES})


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with Publisher.from_url(os.environ["GATEWAY_REDIS_URL"]) as publisher:
        while not stopping.wait(PAUSE_S):
            try:
                work(publisher)
            except (Stopped, PublisherError) as error:  # or Redis is away for long
                print(error, flush=True)


if __name__ == "__main__":
    main()
