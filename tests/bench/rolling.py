"""A rolling restart for real: ``python -m tests.bench.rolling``.

Three nodes behind the shipped nginx file are restarted one after the other, while streams are open and events go out:
each stream must get each event once and in order. Writes who came back when, as a picture with ``--plot``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from publisher import AsyncPublisher
from tests.bench.plots import STYLE
from tests.bench.progress import show
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.nginx import Nginx
from tests.support.node import SERVE, Node
from tests.support.waiting import until

PREFIX: Final = "rolling"
NODES: Final = 3
LOOK_S: Final = 0.25
REST_S: Final = 6.0
"""Between two restarts: a browser's longest pause, and a bit."""
EVENTS_PER_S: Final = 2
AT_ONCE: Final = 50
MAX_RETRY_MS: Final = 60_000
PATH: Final = "/v1/events?channel=topic:news"
SETTINGS: Final[dict[str, Any]] = {
    "ANONYMOUS": "read",
    "MAX_CONNECTIONS_PER_USER": 0,  # all streams are one user's here
    "LOG_LEVEL": "warning",
}


class Look(NamedTuple):
    """How it is at a moment: streams open, and connections made so far."""

    at_s: float
    open: int
    connected: int


class Story:
    """What happened, in seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.looks: list[Look] = []
        self.drains: list[tuple[float, float]] = []

    def now(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def draining(self) -> Iterator[None]:
        began = self.now()
        yield
        self.drains.append((began, self.now()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--drain-s", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, metavar="SVG")
    given = parser.parse_args()
    result = restarted(given.clients, given.drain_s)
    print(json.dumps({name: value for name, value in result.items() if name not in ("looks", "drains")}, indent=2))
    if given.json:
        given.json.write_text(json.dumps(result) + "\n", "utf-8")
    if given.plot:
        draw(result, given.plot)
    return 0 if not result["lost_or_doubled"] else 1


def restarted(clients: int, drain_s: float, rest_s: float = REST_S, **settings: Any) -> dict[str, Any]:
    """Restart all, with a rest before and after each; what was seen."""
    with ExitStack() as parts:
        folder = parts.enter_context(tempfile.TemporaryDirectory(prefix="sse-rolling-"))
        broker = parts.enter_context(Broker())
        given = {**SETTINGS, "DRAIN_S": drain_s, **settings}
        nodes = [parts.enter_context(Node(broker.url, PREFIX, command=SERVE, **given)) for _ in range(NODES)]
        nginx = parts.enter_context(Nginx(Path(folder), *(node.port for node in nodes)))
        return asyncio.run(_watched(nginx.base, broker.url, nodes, clients, rest_s))


async def _watched(base: str, redis_url: str, nodes: Sequence[Node], clients: int, rest_s: float) -> dict[str, Any]:
    async with AsyncExitStack() as parts:
        publisher = await parts.enter_async_context(AsyncPublisher.from_url(redis_url, prefix=PREFIX))
        sources = [EventSource(base, PATH, reconnect=True, max_retry_ms=MAX_RETRY_MS) for _ in range(clients)]
        for start in range(0, clients, AT_ONCE):
            some = sources[start : start + AT_ONCE]
            for source in some:
                await parts.enter_async_context(source)
            for source in some:
                await source.next_of_type("stream.open")
        story = Story()
        over = asyncio.Event()
        telling = asyncio.create_task(_publish(publisher, over))
        looking = asyncio.create_task(_look(sources, story, over))
        await asyncio.sleep(rest_s)
        for number, node in enumerate(nodes, start=1):
            show(f"rolling: node {number} of {len(nodes)} restarts")
            with story.draining():
                node.terminate()
                await asyncio.to_thread(node.wait)
            await asyncio.to_thread(node.start)
            await asyncio.sleep(rest_s)
        await until(lambda: _open(sources) == clients, "all streams to be open again", MAX_RETRY_MS / 1000)
        over.set()
        count = await telling
        await looking
        wrong = [source for source in sources if not await _has_all(source, count)]
        return _result(story, sources, count, len(wrong))


async def _publish(publisher: AsyncPublisher, over: asyncio.Event) -> int:
    """How many events were published."""
    count = 0
    while not over.is_set():
        await publisher.publish("topic:news", "n", {"n": count})
        count += 1
        await asyncio.sleep(1 / EVENTS_PER_S)
    return count


async def _look(sources: Sequence[EventSource], story: Story, over: asyncio.Event) -> None:
    while not over.is_set():
        story.looks.append(Look(story.now(), _open(sources), sum(len(each.exchanges) for each in sources)))
        await asyncio.sleep(LOOK_S)


def _open(sources: Sequence[EventSource]) -> int:
    return sum(each.exchanges[-1].status == 200 and not each.exchanges[-1].ended for each in sources)


async def _has_all(source: EventSource, count: int) -> bool:
    """Whether it got each event once and in order. The last one may still be on its way."""
    with contextlib.suppress(TimeoutError):
        await source.wait_for(lambda: len(source.of_type("n")) >= count, "all events")
    return [event.json()["n"] for event in source.of_type("n")] == list(range(count))


def _result(story: Story, sources: Sequence[EventSource], count: int, wrong: int) -> dict[str, Any]:
    return {
        "clients": len(sources),
        "events": count,
        "deliveries": sum(len(each.of_type("n")) for each in sources),
        "lost_or_doubled": wrong,
        "resets": sum(len(each.of_type("stream.reset")) for each in sources),
        "reconnects": sum(len(each.exchanges) - 1 for each in sources),
        "most_reconnects_of_one": max(len(each.exchanges) - 1 for each in sources),
        "most_reconnects_per_s": max(rate for _, rate in rates(story.looks)),
        "fewest_open": min(look.open for look in story.looks),
        "looks": story.looks,
        "drains": story.drains,
    }


def rates(looks: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Connections per second, over one second each."""
    found, (since_s, _, before) = [], looks[0]
    for at_s, _, connected in looks[1:]:
        if at_s - since_s >= 1:
            found.append((at_s, (connected - before) / (at_s - since_s)))
            since_s, before = at_s, connected
    return found


def draw(result: dict[str, Any], path: Path) -> None:
    """Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure, (above, below) = pyplot.subplots(2, 1, figsize=(8, 4.8), sharex=True, layout="constrained")
        above.plot([look[0] for look in result["looks"]], [look[1] for look in result["looks"]], color="#1f77b4")
        above.set_ylabel("streams open")
        above.set_ylim(0, result["clients"] * 1.05)
        above.set_title(
            f"{result['clients']:,} streams, three nodes restarted one after the other: "
            f"{result['lost_or_doubled']} of them missed anything",
            fontsize=11,
        )
        below.bar(*zip(*rates(result["looks"]), strict=True), width=0.9, color="#d95f02")
        below.set_ylabel("reconnects per second")
        below.set_xlabel("seconds; grey: a node drains")
        for axes in (above, below):
            for began, ended in result["drains"]:
                axes.axvspan(began, ended, color="#eeeeee", zorder=0)
        below.set_xlim(0, result["looks"][-1][0])
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
