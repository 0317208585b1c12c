"""What one delivery costs: ``make bench``.

One broadcast channel, N open streams, events of 190 bytes of JSON, published by the real publisher with history on.
The load client is a C program on the other core. Beside the node stands the floor: a C loop that does nothing but the
socket writes. Rounds alternate between the two, and medians are compared, because machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from publisher import Publisher
from tests.bench.processes import Listeners, Talker, build, cpu_seconds, resident_kib
from tests.support.broker import Broker
from tests.support.node import Node
from tests.support.ports import free_port

DATA = {"message": "x" * 174}
PREFIX = "bench"
SETTINGS: dict[str, Any] = {
    "ANONYMOUS": "read",
    "MAX_CONNECTIONS_PER_USER": 0,
    "CONNECT_RATE_PER_S": 0,
    "LOG_LEVEL": "warning",
}


def steady(send: Callable[[], None], pid: int, connections: int, rate: float, seconds: float) -> float:
    """CPU microseconds per delivery of process ``pid`` while events go out one by one."""
    events = int(rate * seconds)
    before, start = cpu_seconds(pid), time.monotonic()
    for number in range(events):
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
        send()
    return (cpu_seconds(pid) - before) / (events * connections) * 1e6


def wait_for(listeners: Listeners, count: int) -> None:
    while listeners.events() < count:
        time.sleep(0.005)


def burst(publisher: Publisher, listeners: Listeners, pid: int, connections: int) -> tuple[float, float]:
    """Deliveries per second, and CPU microseconds per delivery, when publishing is as fast as it can be."""
    events = max(200, 2_000_000 // connections) // 100 * 100
    seen, before, start = listeners.events(), cpu_seconds(pid), time.monotonic()
    for _ in range(events // 100):
        publisher.publish_many([("broadcast", "tick", DATA)] * 100)
    wait_for(listeners, seen + events * connections)
    took = time.monotonic() - start
    return events * connections / took, (cpu_seconds(pid) - before) / (events * connections) * 1e6


def run(connections: int, rate: float, seconds: float, rounds: int) -> dict[str, Any]:
    """One comparison; see the module's docstring."""
    listeners_program, floor_program = build("listeners"), build("floor")
    result: dict[str, Any] = {"connections": connections, "rate_per_s": rate, "rounds": []}
    with (
        Broker() as broker,
        Node(broker.url, PREFIX, **SETTINGS) as node,
        Publisher.from_url(broker.url, prefix=PREFIX) as publisher,
    ):
        port = free_port()
        idle, start = resident_kib(node.pid), time.monotonic()
        with (
            Talker(floor_program, port, connections, 250) as floor,
            Listeners(listeners_program, node.port, connections, "/v1/events?channel=broadcast") as listeners,
        ):
            listeners.wait_open()
            result["connects_per_s"] = round(connections / (time.monotonic() - start))
            result["kib_per_connection"] = round((resident_kib(node.pid) - idle) / connections, 1)
            floor.hear()
            with Listeners(listeners_program, port, connections, "/") as floor_listeners:
                floor_listeners.wait_open()
                floor.hear()
                for number in range(rounds):
                    show(f"round {number + 1} of {rounds}")
                    ours = steady(
                        lambda: publisher.broadcast("tick", DATA) and None, node.pid, connections, rate, seconds
                    )
                    bare = steady(lambda: floor.say(b"."), floor.pid, connections, rate, seconds)
                    speed, cpu = burst(publisher, listeners, node.pid, connections)
                    result["rounds"].append(
                        {"steady_us": ours, "floor_us": bare, "burst_per_s": speed, "burst_us": cpu}
                    )
    for key in ("steady_us", "floor_us", "burst_per_s", "burst_us"):
        result[key] = round(statistics.median(each[key] for each in result["rounds"]), 2)
    result["steady_to_floor"] = round(result["steady_us"] / result["floor_us"], 2)
    return result


def show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text} …", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    result = run(options.connections, options.rate, options.seconds, options.rounds)
    print(
        f"{result['connections']} connections, {result['rate_per_s']:g} events/s of 190 bytes\n"
        f"  steady   {result['steady_us']:.1f} µs CPU per delivery; floor {result['floor_us']:.1f} µs; "
        f"ratio {result['steady_to_floor']:.2f}\n"
        f"  burst    {result['burst_per_s']:,.0f} deliveries/s, {result['burst_us']:.2f} µs CPU each\n"
        f"  connects {result['connects_per_s']:,} per s; {result['kib_per_connection']} KiB per connection"
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
