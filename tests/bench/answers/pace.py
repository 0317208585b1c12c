"""Answers at an even pace, whoever writes them: so many at once, each a piece every so often, with the time in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

Write = Callable[[int, str], Awaitable[None]]
"""Writes a piece of the answer of this number."""
WIDTH = 12
"""Characters of a piece: the last digits of the time in microseconds, which readers take apart."""


def stamp() -> str:
    return f"{time.monotonic_ns() // 1000:{WIDTH}d}"[-WIDTH:]


def age_ms(text: str) -> list[float]:
    """How old each piece in some text is."""
    now = time.monotonic_ns() // 1000
    return [(now - int(text[at : at + WIDTH])) / 1000 for at in range(0, len(text) - WIDTH + 1, WIDTH)]


async def write_all(answers: int, per_second: float, seconds: float, write: Write) -> int:
    """Returns how many pieces were written. Answers are out of step, as in life."""
    start = time.monotonic()

    async def one(number: int) -> int:
        written, begun = 0, start + number / answers / per_second
        while (due := begun + written / per_second) < start + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await write(number, stamp())
            written += 1
        return written

    return sum(await asyncio.gather(*map(one, range(answers))))
