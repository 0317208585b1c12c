"""The relay's side of the database: rows in order, one relay at a time, and who rings when something was committed."""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, MetaData, case, create_engine, delete, func, inspect, text, update
from sqlalchemy import select as select_from
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from publisher.integrations.outbox_row import OutboxRow
from publisher.integrations.sqlalchemy import BELL, outbox_table

log: Final = logging.getLogger("publisher.relay")

BATCH: Final = 100
"""Rows that are read and published together."""
LOOK_S: Final = 0.02
_LOCK: Final = 0x5353_4500_0000_0000
"""What the keys of the relays' advisory locks begin with; the table's oid follows."""
_WRITERS: Final = text(
    "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND relation = CAST(:name AS regclass) AND pid IS DISTINCT FROM pg_backend_pid()"
)


class OutboxDatabase:
    """Connects at the first call and stays connected; every statement is a transaction of its own. All calls raise
    what SQLAlchemy raises; :meth:`drop` begins anew."""

    def __init__(self, url: URL, table: str, max_bytes: int, order_wait_s: float) -> None:
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool, hide_parameters=True)
        self._table = outbox_table(MetaData(), table)
        self._max_bytes = max_bytes
        self._order_wait_s = order_wait_s
        self._connection: Connection | None = None
        self._locked = False
        self._rung = False
        self._overdue: set[str] = set()
        self.postgresql = self._engine.dialect.name == "postgresql"
        self._name = self._engine.dialect.identifier_preparer.format_table(self._table)

    @property
    def rings(self) -> bool:
        """Whether :meth:`wait` ends when something was committed."""
        return self.postgresql and self._engine.dialect.driver == "psycopg"

    def has_table(self) -> bool:
        return inspect(self._connected()).has_table(self._table.name, schema=self._table.schema)

    def lock(self) -> bool:
        """Be the one relay of this table, on PostgreSQL; whether it worked."""
        if self.postgresql and not self._locked:
            self._locked = bool(self._one("SELECT pg_try_advisory_lock(:base + CAST(:name AS regclass)::oid::bigint)"))
        return self._locked or not self.postgresql

    def unlock(self) -> None:
        """Let another relay try."""
        if self._locked:
            self._locked = False
            self._one("SELECT pg_advisory_unlock(:base + CAST(:name AS regclass)::oid::bigint)")

    def next_rows(self, stopping: Callable[[], bool], without: Sequence[str] = ()) -> list[OutboxRow]:
        """The first rows that wait, by their ids, when all that began to be written before them are there too; none of
        some channels.

        Ids are given when a row is written, and transactions commit in any order. Whoever writes a row holds a lock on
        the table from before it gets its id to its commit: once the holders of now have ended, no smaller id can come.
        """
        c = self._table.c
        waiting = c.refused.is_(None) & c.channel.not_in(without) if without else c.refused.is_(None)
        self._rung = False
        ids = self._all(select_from(c.id).where(waiting).order_by(c.id).limit(BATCH))
        if not ids:
            return []
        if self.postgresql:
            self._wait_for_writers(stopping)
        fits = func.length(c.data) <= self._max_bytes
        columns = c.id, c.channel, c.type, case((fits, c.data)), func.length(c.data), c.event_id, c.uid
        rows = self._all(select_from(*columns).where(waiting, c.id <= ids[-1][0]).order_by(c.id).limit(BATCH))
        return [OutboxRow(*row) for row in rows]

    def finish(self, published: Iterable[int], refused: Mapping[int, str]) -> None:
        """Delete rows, and set others aside with their reason."""
        connection = self._connected()
        ids = list(published)
        if ids:
            connection.execute(delete(self._table).where(self._table.c.id.in_(ids)))
        for row_id, reason in refused.items():
            connection.execute(update(self._table).where(self._table.c.id == row_id).values(refused=reason))

    def wait(self, stop: socket.socket, timeout_s: float) -> None:
        """Until somebody rings, ``stop`` can be read, or the time is over."""
        if self._rung:
            return
        sources: list[Any] = [stop]
        if self.rings and self._connection is not None:
            sources.append(self._connection.connection.driver_connection)
        ready, _, _ = select.select(sources, [], [], timeout_s)
        if len(sources) > 1 and sources[1] in ready:
            self._one("SELECT 1")  # takes in what has arrived

    def drop(self) -> None:
        """Close the connection, whatever state it is in; its locks are gone with it."""
        connection, self._connection, self._locked = self._connection, None, False
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except SQLAlchemyError:
                pass

    def close(self) -> None:
        self.drop()
        self._engine.dispose()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
            if self.rings:
                driver: Any = self._connection.connection.driver_connection
                driver.add_notify_handler(self._ring)
                self._connection.execute(text(f"LISTEN {BELL}"))
        return self._connection

    def _ring(self, notification: object) -> None:
        self._rung = True

    def _wait_for_writers(self, stopping: Callable[[], bool]) -> None:
        writers = self._writers()
        self._overdue &= writers
        left = writers - self._overdue
        deadline = time.monotonic() + self._order_wait_s
        while left and not stopping():
            if time.monotonic() > deadline:
                log.warning(
                    "A transaction has written to %s and not ended for %g s; what it adds is published out of order.",
                    self._name,
                    self._order_wait_s,
                )
                self._overdue |= left
                return
            time.sleep(LOOK_S)
            left &= self._writers()

    def _writers(self) -> set[str]:
        return {row[0] for row in self._all(_WRITERS, {"name": self._name})}

    def _one(self, statement: str) -> Any:
        given = {name: value for name, value in {"base": _LOCK, "name": self._name}.items() if f":{name}" in statement}
        return self._connected().execute(text(statement), given).scalar()

    def _all(self, statement: Any, given: Mapping[str, Any] | None = None) -> list[Any]:
        return list(self._connected().execute(statement, given or {}).all())
