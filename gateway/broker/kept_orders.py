"""Subjects and moments that nodes keep in a sorted set of Redis, and put back where it has lost them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from gateway.auth.orders import read_rows
from gateway.auth.revocations import Newest
from gateway.broker.store import Store
from gateway.metrics.unreadable import Unreadable

PAGE: Final = 1000


class KeptOrders:
    """``known`` is what this node knows of them. Every method raises :class:`~gateway.exceptions.StoreDown`."""

    def __init__(self, store: Store, key: str, known: Newest, max_subjects: int, unreadable: Unreadable) -> None:
        self.key = key
        self._store = store
        self._known = known
        self._max_subjects = max_subjects
        self._unreadable = unreadable

    async def compare(self, latest: float, learn: Callable[[list[tuple[str, int]]], None], oldest: float = 0) -> None:
        """Read all of them, and put back what is known and missing; ``latest`` is the last moment that is believed,
        ``oldest`` the first that is of use."""
        found: set[str] = set()
        cursor: int | bytes = 0
        while True:
            cursor, page = await self._store.command("ZSCAN", self.key, cursor, "COUNT", PAGE)
            rows = read_rows(page, latest)
            found.update(subject for subject, _ in rows.good)
            learn(rows.good)
            if rows.bad:  # each takes the place of one that counts
                await self._store.command("ZREM", self.key, *rows.bad)
                self._unreadable.note("revocation", len(rows.bad))
            if not int(cursor):
                break
        if len(found) < self._max_subjects:
            await self._put_back(found, oldest)

    async def _put_back(self, found: set[str], oldest: float) -> None:
        known = list(self._known.items())
        lost = ((subject, at) for subject, at in known if subject not in found and at >= oldest)
        while some := list(islice(lost, PAGE)):
            await self._store.command("ZADD", self.key, "GT", *[part for subject, at in some for part in (at, subject)])
