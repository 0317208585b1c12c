"""A job worker in a process of its own: ``python -m tests.cluster.worker URL PREFIX RATE SECONDS``.

Runs one job with an owner that reports every event at RATE events per second, with plain events to a client, a topic
and everybody in between. Each accepted event is one line of JSON on standard output: what must arrive, and nothing
else. Ends with code 0 if nothing was raised.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from publisher import Publisher


def main(url: str, prefix: str, rate: float, seconds: float, job_id: str) -> None:
    total = int(rate * seconds)
    with (
        Publisher.from_url(url, prefix=prefix, on_error="buffer", history_events=5000, flush_timeout_s=60) as pub,
        pub.job(job_id, kind="character", owner="user-1", meta={"provider_id": "p1"}) as job,
    ):
        started = time.monotonic()
        for number in range(1, total + 1):
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            _say("job", number)
            job.progress(100 * number / (total + 1), current=number, total=total, message=f"Step {number}")
            for channel in ("client:user-1", "topic:news", "broadcast"):
                pub.publish(channel, "tick", {"on": channel, "n": number})
                _say(channel, number)
        job.complete(result={"output": ["done.png"]})
        _say("end", total)


def _say(channel: str, number: int) -> None:
    line: dict[str, Any] = {"channel": channel, "n": number}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
