"""Publishes what transactions have left in the outbox: at least once, and in order."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from typing import Any, Final

from redis.exceptions import NoPermissionError
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from publisher.blocking.publisher import Publisher
from publisher.core import reports
from publisher.core.backoff import backoff_s
from publisher.core.options import Options
from publisher.exceptions import JobError, PublisherError, PublishError
from publisher.integrations.outbox_row import sort
from publisher.integrations.sqlalchemy_database import OutboxDatabase

log: Final = logging.getLogger("publisher.relay")

ORDER_WAIT_S: Final = 10.0
"""How long rows wait for transactions that began to write before them."""
LOOK_S: Final = 0.5
"""How often a database is looked at that cannot ring."""
LISTEN_S: Final = 2.0
"""How often one that rings is looked at all the same: rows may be written by hand."""
REDIS_LOOK_S: Final = 2.0
"""How often Redis is looked at while there is nothing to publish: whoever runs this is to know before there is."""
STANDBY_S: Final = 1.0
"""How often a relay tries to take the place of another one."""
RETRY_S: Final = 30.0
"""How long a channel is left that Redis does not take, while it takes others."""
MAX_STUCK: Final = 100
PROBE_JOB: Final = "sse-relay-probe"
"""What Redis is asked for to find out whether it is back; there is no such job."""


class NoOutbox(Exception):
    """There is nothing to relay; the sentence says what to do."""


class Relay:
    """Goes on until :meth:`stop`, over outages of the database and of Redis. On PostgreSQL any number may run, of which
    one works."""

    def __init__(
        self,
        url: URL,
        table: str,
        publisher: Publisher,
        max_event_bytes: int,
        *,
        order_wait_s: float = ORDER_WAIT_S,
        listen_s: float = LISTEN_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._database = OutboxDatabase(url, table, max_event_bytes, order_wait_s)
        self._listen_s = listen_s
        self._retry_s = retry_s
        self._stuck: dict[str, float] = {}
        self._table = table
        self._publisher = publisher
        self._options = Options(max_event_bytes=max_event_bytes)
        self._bell, self._rope = socket.socketpair()
        self._stopping = False
        self._troubles = 0
        self._look_at = 0.0
        self._standing_by = False

    def stop(self) -> None:
        """Let :meth:`run` return after what it is doing. May be called from a signal's handler."""
        self._stopping = True
        with contextlib.suppress(OSError):  # it has returned already
            self._rope.send(b".")

    def run(self) -> None:
        """Raises :class:`NoOutbox` where the database is there and has no such table."""
        try:
            self._check()
            while not self._stopping:
                try:
                    self._turn()
                    self._troubles = 0
                except SQLAlchemyError as trouble:
                    self._database.drop()
                    self._pause("The database cannot be asked", trouble)
                except PublisherError as trouble:
                    self._wait_for_redis(trouble)
        finally:
            self._database.close()
            self._bell.close()
            self._rope.close()

    def _check(self) -> None:
        try:
            if self._database.has_table():
                return
        except SQLAlchemyError:
            return self._database.drop()  # the database is not there yet
        raise NoOutbox(
            f"The database has no table {self._table}; make it with metadata.create_all() or a migration, or name "
            "another one with --table."
        )

    def _turn(self) -> None:
        if not self._database.lock():
            if not self._standing_by:
                log.info("Another relay works on %s; this one takes its place when it ends.", self._table)
            self._standing_by = True
            self._rest(STANDBY_S)
            return
        self._standing_by = False
        now = time.monotonic()
        self._stuck = {channel: until for channel, until in self._stuck.items() if until > now}
        rows = self._database.next_rows(lambda: self._stopping, tuple(self._stuck))
        if not rows:
            if now >= self._look_at:
                self._look_at_redis()
                self._look_at = time.monotonic() + REDIS_LOOK_S
            self._database.wait(self._bell, self._listen_s if self._database.rings else LOOK_S)
            return
        found = sort(self._options, self._table, rows)
        for row_id, reason in found.refused.items():
            log.error("Row %d of %s is set aside and not published: %s", row_id, self._table, reason)
        try:
            self._publish(found.events)
        except PublishError as trouble:
            self._publish_by_channel(found.events, trouble)
        done = (row.id for row in rows if row.id not in found.refused and row.channel not in self._stuck)
        self._database.finish(done, found.refused)

    def _publish(self, events: list[dict[str, Any]]) -> None:
        try:
            self._publisher.publish_many(events)
        except JobError as error:
            log.warning("An event of %s was dropped: %s", self._table, error)

    def _publish_by_channel(self, events: list[dict[str, Any]], trouble: PublishError) -> None:
        """Find out which channels Redis does not take: what stands in one's way must not be in everybody's. Raises
        ``trouble`` where Redis answers nothing at all."""
        for channel in dict.fromkeys(event["channel"] for event in events):
            self._probe(trouble)
            try:
                self._publish([event for event in events if event["channel"] == channel])
            except PublishError as error:
                self._probe(error)
                log.error("%s waits for %g s, and others go on: %s", channel, self._retry_s, reports.for_users(error))
                while len(self._stuck) >= MAX_STUCK:
                    del self._stuck[next(iter(self._stuck))]
                self._stuck[channel] = time.monotonic() + self._retry_s

    def _probe(self, trouble: PublishError) -> None:
        try:
            self._look_at_redis()
        except PublisherError:
            raise trouble from None

    def _look_at_redis(self) -> None:
        """Raises :class:`PublisherError` where it does not answer. That this user may not ask is an answer."""
        try:
            self._publisher.get_job(PROBE_JOB)
        except PublishError as trouble:
            if not isinstance(trouble.__cause__, NoPermissionError):
                raise

    def _wait_for_redis(self, trouble: PublisherError) -> None:
        """Hold nothing in the database meanwhile."""
        with contextlib.suppress(SQLAlchemyError):
            self._database.unlock()
        while not self._stopping:
            self._pause("Nothing is published", trouble)
            try:
                self._look_at_redis()
            except PublisherError as again:
                trouble = again
            else:
                log.info("Redis answers; what waits is published.")
                return

    def _pause(self, what: str, trouble: Exception) -> None:
        self._troubles += 1
        if self._troubles == 1:
            log.warning("%s, and is tried again: %s", what, " ".join(reports.for_users(trouble).split())[:500])
        self._rest(backoff_s(self._troubles))

    def _rest(self, seconds: float) -> None:
        select.select([self._bell], [], [], seconds)
