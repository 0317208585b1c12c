"""A storm for real: ``python -m tests.bench.storm``. Half of the streams lose their node, and come to the other one.

Writes how many were back after how long, beside what the model says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

from gateway.bench.choices import Choices
from gateway.bench.limits import make_room
from gateway.bench.listener import Listener
from gateway.bench.target import Target, look_up
from gateway.bench.viewers import Viewers
from tests.bench.scaling_model import Storm, storm
from tests.support.broker import Broker
from tests.support.node import SERVE, Node

LOOK_S = 0.1
GIVE_UP_S = 90.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=2000, help="that lose their node")
    parser.add_argument("--rate", type=int, default=200, help="GATEWAY_CONNECT_RATE_PER_S of the node that stays")
    parser.add_argument("--drain", action="store_true", help="stop the node in order instead of killing it")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    settings: dict[str, Any] = {
        "ANONYMOUS": "read",
        "MAX_CONNECTIONS_PER_USER": 0,
        "LOG_LEVEL": "warning",
        "TRUSTED_PROXIES": "none",
    }
    with (
        Broker() as broker,
        Node(broker.url, "storm", command=SERVE, CONNECT_RATE_PER_S=given.rate, **settings) as staying,
        Node(broker.url, "storm", command=SERVE, CONNECT_RATE_PER_S=0, **settings) as leaving,
    ):
        seen = asyncio.run(watch(given.streams, staying, leaving, drain=given.drain))
    plan = Storm(given.streams, 1, rate_per_s=given.rate, over_s=9.0 if given.drain else 0.0, one_user=True)
    foretold = storm(plan)
    result = {
        "streams": given.streams,
        "rate_per_s": given.rate,
        "drain": given.drain,
        "back": seen,
        "measured_s": {f"{share:.0%}": until(seen, share * given.streams) for share in (0.5, 0.95, 1)},
        "model_s": {f"{share:.0%}": round(foretold.until(share), 1) for share in (0.5, 0.95, 1)},
        "model_refusals": foretold.refusals,
    }
    print(json.dumps({name: value for name, value in result.items() if name != "back"}, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result) + "\n", "utf-8")


class Refugees(Viewers):
    """Streams that begin on the first node and come back to the second one."""

    def target(self, listener: Listener) -> Target:
        return self._choices.targets[min(1, listener.tries)]


async def watch(streams: int, staying: Node, leaving: Node, *, drain: bool) -> list[tuple[float, int]]:
    """Open streams on the leaving node alone, let it go, and count who is open on the other one."""
    home, refuge = (look_up(node.base, remote=False) for node in (leaving, staying))
    make_room(streams, [refuge])
    crowd = Refugees(Choices((home, refuge), "storm", streams, 1, 64, 1, 1, 1000))
    await crowd.open_all()
    assert crowd.opened == streams, crowd.refused
    started = time.monotonic()
    if drain:
        leaving.terminate()
    else:
        leaving.kill()
    seen: list[tuple[float, int]] = []
    while crowd.reopened < streams and time.monotonic() - started < GIVE_UP_S:
        await asyncio.sleep(LOOK_S)
        seen.append((round(time.monotonic() - started, 2), crowd.reopened))
    await crowd.close()
    return seen


def until(seen: list[tuple[float, int]], count: float) -> float | None:
    return next((at for at, back in seen if back >= count), None)


if __name__ == "__main__":
    main()
