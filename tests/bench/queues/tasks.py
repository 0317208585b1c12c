"""What the tasks of all queues do. RQ imports this anew for each."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

LOOK_S: Final = 0.02


def nothing() -> None:
    """The task that is measured."""


def hold(path: str) -> None:
    """Keep the worker busy until somebody makes the file; say that it is."""
    mark(path + ".begun")
    while not there(path):
        time.sleep(LOOK_S)


def mark(path: str) -> None:
    """Say that everything before it is done."""
    Path(path).touch()


def there(path: str) -> bool:
    return Path(path).exists()


async def nothing_async() -> None:
    """The task that is measured."""


async def hold_async(path: str) -> None:
    """As :func:`hold`."""
    mark(path + ".begun")
    while not there(path):
        await asyncio.sleep(LOOK_S)


async def mark_async(path: str) -> None:
    """As :func:`mark`."""
    mark(path)
