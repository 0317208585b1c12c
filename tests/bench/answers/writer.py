"""A worker with many answers at once, on the publisher: ``URL PREFIX ANSWERS PER_SECOND``. Says ``ready``; for each
number of seconds on stdin it writes for so long and says how many pieces it wrote and what CPU that took."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from publisher import AsyncPublisher
from tests.bench.answers.pace import write_all


async def main(url: str, prefix: str, answers: int, per_second: float) -> None:
    async with AsyncPublisher.from_url(url, prefix=prefix) as pub, contextlib.AsyncExitStack() as stack:
        held = [
            await stack.enter_async_context(pub.answer(f"c{n}", owner=f"u{n}", job_id=f"a{n}")) for n in range(answers)
        ]
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            cpu = time.process_time()
            pieces = await write_all(answers, per_second, float(line), lambda n, text: held[n].text(text))
            print(pieces, time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
