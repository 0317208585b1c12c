"""What the tests of queues share: one node for all viewers, and one bench with one worker for each queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from publisher import Publisher
from tests.integrations.bench import Bench, Places
from tests.integrations.benches import BENCHES
from tests.support.broker import Broker
from tests.support.node import Node
from tests.support.proxy import Proxy
from tests.support.publishers import Reader

collect_ignore = [] if find_spec("arq") else ["test_arq.py"]


@pytest.fixture(scope="session")
def events_prefix() -> str:
    """First part of the keys of all events of the queues' tests."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture(scope="session")
def node(broker: Broker, events_prefix: str) -> Iterator[Node]:
    """The node that all viewers are at."""
    with Node(broker.url, events_prefix) as running:
        yield running


@pytest.fixture(scope="session")
def bench_of(
    broker: Broker, events_prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[type[Bench]], Any]]:
    """The bench of a queue, made when it is first asked for and kept, with its worker, for all modules."""
    made: dict[type[Bench], Bench] = {}

    def of(kind: type[Bench]) -> Bench:
        if kind not in made:
            queue_url = broker.url.removesuffix("/0") + f"/{1 + BENCHES.index(kind)}"
            way = Proxy(broker.port).start()
            folder = tmp_path_factory.mktemp(kind.name)
            made[kind] = kind(Places(queue_url, broker.url, way, events_prefix, folder))
        return made[kind]

    yield of
    for bench in made.values():
        bench.stop()
        bench.close()
        bench.places.way.close()


@pytest.fixture
def pub(broker: Broker, events_prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(broker.url, prefix=events_prefix) as found:
        yield found


@pytest.fixture
def types(broker: Broker, events_prefix: str) -> Iterator[Callable[[str], list[str]]]:
    """The types of a job's events so far, without their ``job.``; progress that goes on is told once."""
    reader = Reader(broker.url, events_prefix)

    def of(job_id: str) -> list[str]:
        names = [name.removeprefix("job.") for name in reader.types(f"job:{job_id}")]
        return [name for place, name in enumerate(names) if name != "progress" or names[place - 1] != "progress"]

    yield of
    reader.close()
