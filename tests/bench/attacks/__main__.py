"""An attack as a process of its own, until it is killed. It yields to whatever else wants its core."""

from __future__ import annotations

import asyncio
import sys

from tests.bench.attacks.all import ATTACKS
from tests.bench.processes import run_after_others


async def main(name: str, port: str) -> None:
    run_after_others()
    await ATTACKS[name].strike(int(port))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
