"""The demo's way from the node to its worker: a bounded list of job ids in Redis. The job itself says the rest."""

from __future__ import annotations

from typing import Any, Final

from gateway.exceptions import Unavailable
from gateway.store import Store
from publisher.connect import Blocking

MAX_WAITING: Final = 100
POLL_S: Final = 1


def queue_key(prefix: str) -> str:
    return f"{prefix}:{{demo}}:queue"


async def check_room(store: Store, prefix: str) -> None:
    """Raise :class:`Unavailable` while 100 jobs wait for the worker."""
    if await store.command("LLEN", queue_key(prefix)) >= MAX_WAITING:
        raise Unavailable("The demo worker has more to do than it can; try again in a minute.")


async def put(store: Store, prefix: str, job_id: str) -> None:
    """Hand a job over."""
    await store.command("RPUSH", queue_key(prefix), job_id)


def take(client: Blocking, prefix: str) -> str | None:
    """The next job's id, waited for a second; None where there is none. Raises what redis-py raises."""
    found: Any = client.blpop([queue_key(prefix)], timeout=POLL_S)
    return found[1].decode() if found else None
