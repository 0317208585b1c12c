"""``python -m gateway.demo.worker``: runs the demo's tasks, as a worker of Dramatiq, and asks its provider.

A worker like any other: it knows the publisher and Redis, and nothing of the node. Ends at SIGTERM, or when its stdin
does, which it does with ``dev``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from typing import Any, Final

import dramatiq

from gateway.demo import tasks
from gateway.demo.provider import ProviderPolling
from gateway.logs import output
from gateway.settings.settings import Settings
from publisher import Publisher, PublisherError

AT_ONCE: Final = 4
LOOK_MS: Final = 200
"""How often it looks for tasks."""
END_S: Final = 1.0
"""How long it waits when it is to end: for its tasks, and then for what they had to say."""


class Notices(dramatiq.Middleware):
    """Tells the client that a job's meta names when it begins and ends. Raises nothing: the job is what counts."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        self._tell(message, "job-started")

    def after_ack(self, broker: dramatiq.Broker, message: Any) -> None:
        if "eta" not in message.options:  # else it has only come to its queue
            self._tell(message, "job-ended")

    def _tell(self, message: Any, type_: str) -> None:
        client = message.args[0].get("notify")
        if isinstance(client, str):
            with contextlib.suppress(PublisherError):
                self._publisher.send(client, type_, {"jobId": message.message_id, "kind": message.actor_name})


def run(settings: Settings) -> None:
    """Until :data:`tasks.stopping` is set. A Redis that is away is waited for."""
    publisher = Publisher.from_url(settings.redis_url, prefix=settings.redis_prefix)
    broker = tasks.DemoBroker(settings, Notices(publisher), publisher=publisher)
    worker = dramatiq.Worker(broker, worker_timeout=LOOK_MS, worker_threads=AT_ONCE)
    with ProviderPolling(settings):
        worker.start()
        tasks.stopping.wait()
        worker.stop(timeout=int(1000 * END_S))


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    tasks.stopping.set()


def main() -> None:
    """Run with the settings of the environment until SIGTERM, SIGINT, or the end of stdin."""
    settings = Settings.from_env(os.environ)
    output.configure(settings.log_format, settings.log_level)
    logging.getLogger("dramatiq").setLevel(logging.CRITICAL + 1)  # what the demo does to Redis is no news

    def stop(*_: Any) -> None:
        tasks.stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run(settings)
    end = threading.Timer(END_S, os._exit, (0,))  # nothing of it is worth waiting for a Redis that is away
    end.daemon = True
    end.start()


if __name__ == "__main__":
    main()
