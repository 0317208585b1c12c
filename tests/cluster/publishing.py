"""The steady publisher's process as the harness holds it: started, killed in mid-publish, started again, ended."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from tests.cluster.ledger import PER_STEP, AcceptedEvent, Ledger
from tests.cluster.steady import Orders

ROOT = Path(__file__).parents[2]


class Publishing:
    """Writes what the process says into the ledger. A new life goes on where the last one was cut off."""

    def __init__(self, ledger: Ledger, orders: Orders) -> None:
        self._ledger = ledger
        self._orders = orders
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.life = 0
        self.said_bye = False

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it and return when it has asked for its first event."""
        self.life += 1
        before = len(self._ledger.jobs), self._asked()
        orders = dataclasses.asdict(self._continued())
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.cluster.steady",
            json.dumps(orders),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read(), name="publisher's report")
        await self._ledger.until(
            lambda: self._asked() > before[1] or not self.running, "the publisher's first event", 30
        )

    def _asked(self) -> int:
        return sum(map(len, self._ledger.entries.values()))

    def _continued(self) -> Orders:
        ledger = self._ledger
        numbers = {channel: ledger.newest(channel) for channel in self._orders.channels}
        running = [job_id for job_id, status in ledger.jobs.items() if status is None]
        if running:
            # Attach to the job that was cut off, after the last step that may have been sent.
            job_id = running[-1]
            step = ledger.newest(f"job:{job_id}") // PER_STEP + 1
            return dataclasses.replace(
                self._orders, numbers=numbers, first_job=int(job_id.partition("-")[2]), first_step=step
            )
        known = [int(name.partition("-")[2]) for name in ledger.channels() if name.startswith("job:")]
        return dataclasses.replace(self._orders, numbers=numbers, first_job=max(known, default=0) + 1)

    async def kill(self) -> None:
        """SIGKILL, wherever it is; all that it said before is in the ledger when this returns."""
        assert self._process is not None and self._reading is not None
        if self.running:
            self._process.kill()
        await self._process.wait()
        await self._reading
        self._ledger.killed()

    async def finish(self, timeout_s: float = 90) -> int:
        """Let it end its job and itself, with everything flushed; its exit code."""
        assert self._process is not None and self._reading is not None and self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(timeout_s):
            code = await self._process.wait()
            await self._reading
        return code

    async def ended(self, timeout_s: float = 90) -> int:
        """Wait for a publisher that was ordered to run so many jobs and no more; its exit code."""
        assert self._process is not None and self._reading is not None
        async with asyncio.timeout(timeout_s):
            await self._reading
            return await self._process.wait()

    async def close(self) -> None:
        if self._process is not None:
            await self.kill()

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.endswith(b"\n"):
                break  # cut off by a kill in the middle of a word
            self._take(json.loads(line))
            await self._ledger.tell()
        await self._ledger.tell()

    def _take(self, said: list[Any]) -> None:
        ledger = self._ledger
        match said:
            case ["asked", str(channel), int(number)]:
                ledger.asked(channel, number, self.life)
            case ["accepted", str(channel), int(number), str(epoch), int(seq)]:
                ledger.accepted(channel, number, AcceptedEvent(epoch, seq))
            case ["kept", str(channel), int(number)]:
                ledger.kept(channel, number)
            case ["job", str(job_id)]:
                ledger.started_job(job_id)
            case ["ended", str(job_id), str(status)]:
                ledger.ended_job(job_id, status)
            case ["bye"]:
                self.said_bye = True
                ledger.flushed()
