"""What Redis pays for a fleet: ``python -m tests.bench.redis_costs``. Microseconds of its CPU, with real parts.

An event without listeners and with 1 to 100 nodes that hear it; a stream that comes and goes, counted beside 1 to 100
other nodes; the read with which a stream begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator

from gateway.broker.history import History
from gateway.broker.store import Store
from gateway.metrics.counters import Metrics
from gateway.presence.delivered import Delivered
from gateway.presence.presence import Presence
from gateway.presence.stream_counts import CountedStream
from publisher import Publisher
from publisher.keys import pubsub_name
from publisher.redis import connect
from tests.bench.processes import cpu_seconds
from tests.support.broker import Broker
from tests.support.ports import HOST

PREFIX = "costs"
EVENTS = 10_000
STREAMS = 4_000
DATA = {"message": "x" * 174}
FLEETS = (1, 10, 30, 100)


def main() -> None:
    with Broker() as broker:
        figures = {
            "publish_us": {count: publish_us(broker, count) for count in (0, *FLEETS)},
            "publish_batch_us": {count: publish_us(broker, count, batch=100) for count in (0, *FLEETS)},
            **asyncio.run(streams(broker)),
        }
    print(json.dumps(figures, indent=2))


def publish_us(broker: Broker, nodes: int, batch: int = 1) -> float:
    """One event, published alone or with others, with so many connections subscribed to its channel."""
    with Publisher.from_url(broker.url, prefix=PREFIX) as publisher, listening(broker, nodes):
        publisher.publish("topic:warm", "t", DATA)
        before = cpu_seconds(broker.pid)
        for _ in range(EVENTS // batch):
            publisher.publish_many([("topic:a", "t", DATA)] * batch)
        return round((cpu_seconds(broker.pid) - before) / EVENTS * 1e6, 1)


@contextlib.contextmanager
def listening(broker: Broker, count: int) -> Iterator[None]:
    """Sockets that subscribe and read, on one thread."""
    name = pubsub_name(PREFIX, "topic:a").encode()
    sockets = [socket.create_connection((HOST, broker.port)) for _ in range(count)]
    over = threading.Event()

    def read() -> None:
        import selectors

        with selectors.DefaultSelector() as selector:
            for each in sockets:
                each.sendall(b"*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%b\r\n" % (len(name), name))
                selector.register(each, selectors.EVENT_READ)
            while not over.is_set():
                for key, _ in selector.select(0.1):
                    key.fileobj.recv(65_536)  # type: ignore[union-attr]

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for each in sockets:
            each.close()


async def streams(broker: Broker) -> dict[str, object]:
    found: dict[int, float] = {}
    async with contextlib.AsyncExitStack() as stack:
        stores: list[Store] = []
        presences: list[Presence] = []
        for count in FLEETS:
            while len(presences) < count:
                store = Store(connect.asyncio(broker.url))
                stack.push_async_callback(store.close)
                stores.append(store)
                presence = Presence(
                    store,
                    prefix=PREFIX,
                    node_id=f"node{len(presences)}",
                    version="1",
                    max_per_user=20,
                    draining=lambda: False,
                    delivered=Delivered.nothing,
                )
                task = asyncio.create_task(presence.run())
                stack.callback(task.cancel)
                presences.append(presence)
                await presence.arrive(CountedStream("sub:first", ("topic:a",)))
            found[count] = await _arrive(broker, presences[0])
        history = History(stores[0], Metrics("1"), PREFIX)
        before = cpu_seconds(broker.pid)
        for number in range(0, STREAMS, 50):
            await asyncio.gather(*[history.read(f"client:{number + index}", None) for index in range(50)])
        read = (cpu_seconds(broker.pid) - before) / STREAMS * 1e6
    return {"arrive_us": found, "read_us": round(read, 1)}


async def _arrive(broker: Broker, presence: Presence) -> float:
    """A stream that comes and goes, fifty at a time as in a busy second."""
    before = cpu_seconds(broker.pid)
    for number in range(0, STREAMS, 50):
        places = [
            CountedStream(f"sub:{number + index}", (f"client:{number + index}", "broadcast")) for index in range(50)
        ]
        await asyncio.gather(*[presence.arrive(place) for place in places])
        for place in places:
            presence.leave(place)
    await presence.reader.totals()
    return round((cpu_seconds(broker.pid) - before) / STREAMS * 1e6, 1)


if __name__ == "__main__":
    main()
