"""The signs of life of a publisher's open jobs: one thread renews all leases, so that a worker whose event loop is
blocked, or whose thread computes for minutes, does not count as lost.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from redis import Redis
from redis.exceptions import NoScriptError

from publisher.core.lease import Lease
from publisher.core.record import JobRecord
from publisher.core.requests import Call
from publisher.redis import errors
from publisher.redis.connect import Twin
from publisher.redis.scripts import lua

RETRY_S: Final = 0.5
"""While Redis is away. A lease that ran out meanwhile counts only after its worker had up to 3 s to renew it."""
AT_ONCE: Final = 500
"""Leases in one round trip."""
EARLY: Final = 0.1
"""The share of its interval by which a lease may be renewed early, in the round trip of others."""
IDLE_S: Final = 30.0
"""How long the thread waits for another job. To start one for each would cost a short task more than all its events."""

Connect = Callable[[], Twin | None]
"""Makes the thread's client; None where there is nothing to renew (a fake)."""


class _Renewal(NamedTuple):
    record: JobRecord
    lease: Lease


class Renewals:
    """The thread starts with the first job, ends when none was opened for a while, and with the process: it is a
    daemon. It looks again before anything opened meanwhile is due, so that most jobs need not wake it."""

    def __init__(self, prefix: str, connect: Connect) -> None:
        self._prefix = prefix
        self._connect = connect
        self.after_fork()

    def after_fork(self) -> None:
        """The open jobs are the parent's: it goes on renewing them, and a child does not."""
        self._changed = threading.Condition()
        self._due: dict[JobRecord, float] = {}
        self._shortest = math.inf
        self._opened_at = -math.inf
        self._thread: threading.Thread | None = None
        self._twin: Twin | None = None

    def hold(self, record: JobRecord) -> None:
        """Renew this job's lease from now on, if it has one."""
        if record.lease is None:
            return
        renew_s = record.lease.renew_s
        with self._changed:
            self._opened_at = time.monotonic()
            self._due[record] = self._opened_at + renew_s
            if renew_s < self._shortest:
                self._shortest = renew_s
                self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sse-leases", daemon=True)
                self._thread.start()

    def release(self, record: JobRecord) -> None:
        """The job has ended, or its worker leaves it."""
        with self._changed:
            self._due.pop(record, None)

    def close(self) -> None:
        """Let go of everything; jobs that are still open run out."""
        with self._changed:
            self._due.clear()
            self._opened_at = -math.inf
            self._changed.notify()

    def _run(self) -> None:
        while (held := self._wait()) is not None:
            failed = self._renew(held)
            with self._changed:
                now = time.monotonic()
                for record, lease in held:
                    if record not in self._due:
                        continue
                    if record.deaf or record.ended:
                        del self._due[record]
                    else:
                        self._due[record] = now + (RETRY_S if failed else lease.renew_s)

    def _wait(self) -> list[_Renewal] | None:
        """The leases whose turn it is; None when there was nothing to renew for long enough."""
        with self._changed:
            while self._due or time.monotonic() - self._opened_at < IDLE_S:
                now = time.monotonic()
                next_due = min(self._due.values(), default=math.inf)
                if next_due <= now:
                    return [
                        _Renewal(record, record.lease)
                        for record, due in self._due.items()
                        if record.lease is not None and due <= now + EARLY * record.lease.renew_s
                    ]
                self._changed.wait(min(next_due - now, self._shortest))
            self._thread = None
            self._shortest = math.inf
            twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()
        return None

    def _renew(self, held: Sequence[_Renewal]) -> bool:
        """Whether it has to be tried again soon."""
        try:
            self._twin = self._twin or self._connect()
            if self._twin is None:
                return False
            for start in range(0, len(held), AT_ONCE):
                some = held[start : start + AT_ONCE]
                calls = [lease.renewal(self._prefix, record.job_id) for record, lease in some]
                for (record, _), reply in zip(some, _ask(self._twin.client, calls), strict=True):
                    if isinstance(reply, list) and len(reply) > 1:
                        record.stands(reply[0], reply[1])
        except errors.ERRORS:
            return True
        return False


def _ask(client: Any, calls: Sequence[Call]) -> list[Any]:
    """All calls in one round trip; in Cluster one per node."""
    script = lua(calls[0].script)
    pipeline = client.pipeline(transaction=False) if isinstance(client, Redis) else client.pipeline()
    for call in calls:
        pipeline.execute_command("EVALSHA", script.sha, len(call.keys), *call.keys, *call.args)
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    for index, call in enumerate(calls):
        if isinstance(replies[index], NoScriptError):
            head = len(call.keys), *call.keys
            replies[index] = client.execute_command("EVAL", script.source, *head, *call.args)
    return replies
