"""SQLAlchemy: events that are announced if and only if the transaction that made them commits.

``outbox.add()`` writes a row beside the application's own; ``sse-gateway relay`` publishes what was committed.
"""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any, Final

from publisher.core.drafts import draft
from publisher.core.identity import new_uid
from publisher.core.options import Options

try:
    from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, event, text
    from sqlalchemy.dialects import mysql
    from sqlalchemy.orm import object_session, registry
except ImportError as missing:
    raise ImportError("This needs SQLAlchemy: pip install 'sse-gateway[sqlalchemy]'") from missing

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

DEFAULT_TABLE: Final = "sse_outbox"
BELL: Final = "sse_outbox"
"""The channel of PostgreSQL's NOTIFY on which relays hear of a commit, whatever their table is called."""
_NAME: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,62}")
_TOLD: Final = "sse_outbox_told"


def outbox_table(metadata: MetaData, name: str) -> Table:
    """The outbox's table, ``name`` or ``schema.name``. Raises ``ValueError`` for what is no plain name."""
    if not _NAME.fullmatch(name):
        raise ValueError("The outbox's table must be a plain name of letters, digits and _, perhaps schema.name.")
    schema, _, table = name.rpartition(".")
    return Table(
        table,
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("channel", String(255), nullable=False),
        Column("type", String(255), nullable=False),
        Column("data", Text().with_variant(mysql.MEDIUMTEXT, "mysql", "mariadb"), nullable=False),
        Column("event_id", String(255)),
        # Beside the row's id: ids of two databases, or of a table that was made anew, may be the same.
        Column("uid", String(32)),
        # Why the relay has set the row aside; NULL: it is still to be published.
        Column("refused", Text),
        schema=schema or None,
        sqlite_autoincrement=True,  # else the id of a row that is gone would be given again
    )


class Outbox:
    """The table of one application's events, as a part of its own ``metadata``: ``create_all()`` and migrations make
    it. Raises ``ValueError`` for a ``table`` that is no plain name."""

    def __init__(self, metadata: MetaData, table: str = DEFAULT_TABLE, *, max_event_bytes: int = 262_144) -> None:
        self._options = Options(max_event_bytes=max_event_bytes)
        self.table = outbox_table(metadata, table)
        self._row: Any = type("OutboxRow", (), {})
        registry(metadata=metadata).map_imperatively(self._row, self.table)
        event.listen(self._row, "after_insert", _ring)

    def add(
        self,
        session: Session | AsyncSession | scoped_session[Any] | async_scoped_session[Any],
        channel: str,
        type: str,
        data: Any,
        id: str | None = None,
    ) -> None:
        """Announce an event if the session's transaction commits. Writes nothing yet: the row goes with the session's
        next flush, in the order of these calls.

        ``id`` is the caller's own, as in :meth:`Publisher.publish`. Raises ``ValueError`` (:class:`EventTooLarge` among
        them) for what could not be published.
        """
        checked = draft(self._options, channel, type, data, id)
        row = self._row()
        row.channel, row.type, row.data = checked.channel, checked.type, checked.data.decode()
        row.event_id, row.uid = checked.id or None, new_uid()
        session.add(row)


def _ring(mapper: Any, connection: Connection, row: object) -> None:
    """Let the relay hear of the commit: once per transaction is enough."""
    if connection.dialect.name != "postgresql":
        return
    session = object_session(row)
    if session is not None:
        transaction = session.get_nested_transaction() or session.get_transaction()
        told = session.info.get(_TOLD)
        if transaction is not None and told is not None and told() is transaction:
            return
        session.info[_TOLD] = weakref.ref(transaction) if transaction is not None else None
    connection.execute(text(f"NOTIFY {BELL}"))
