"""The benchmark measures what it says: everything that was published is counted, and what is lacking is noticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.bench import programs
from tests.bench.audience import Audience, audience
from tests.bench.cases.resume import MISSED, come_back
from tests.bench.load import FALLBACK, LoadClient, Missing
from tests.bench.payload import BYTES, encoded
from tests.bench.systems.floor import Floor, JoinedFloor
from tests.bench.systems.gateway import Gateway
from tests.bench.systems.system import SHARED

CLIENTS = [FALLBACK, *([(programs.build("load"),)] if programs.compiler() else [])]
CHANNELS = [*[SHARED] * 12, *[f"job:{number}" for number in range(4)]]


@pytest.fixture(params=CLIENTS, ids=lambda command: "in Python" if command is FALLBACK else "in C")
def load_client(request: pytest.FixtureRequest) -> Sequence[object]:
    """Each load client that can run here."""
    command: Sequence[object] = request.param
    return command


@pytest.fixture
def crowd(load_client: Sequence[object]) -> Iterator[Audience]:
    """A node with viewers of a broadcast and of jobs."""
    system = Gateway()
    system.load_client = load_client
    with audience(system, CHANNELS) as found:
        yield found


def test_every_delivery_is_counted_once_with_its_latency(crowd: Audience) -> None:
    paced = crowd.steady([SHARED, "job:2", SHARED, "job:3"], per_second=1000)
    assert paced.figures["deliveries"] == 26
    assert paced.latency.total() == 26
    burst = crowd.burst([SHARED, "job:0"] * 150)
    assert burst.figures["deliveries"] == burst.latency.total() == 150 * 13
    assert crowd.client.events() == 26 + 150 * 13
    assert 0 < burst.figures["p50_ms"] <= burst.figures["p999_ms"]
    assert burst.figures["cpu_us"] > 0
    assert burst.figures["redis_us_per_event"] > 0


def test_a_storm_of_returning_clients_gets_what_each_missed_and_no_more(crowd: Audience) -> None:
    seen = crowd.client.events()
    storm = come_back(crowd)
    assert crowd.client.events() - seen == len(CHANNELS) * (1 + MISSED)
    assert 0 <= storm.figures["history_reads"] <= len(CHANNELS)


def test_a_delivery_that_is_lacking_is_an_error(crowd: Audience) -> None:
    seen = crowd.client.events()
    with pytest.raises(Missing, match=r"1 of .* missing"):
        crowd.client.wait(seen + 1, timeout_s=0.1)


def test_events_can_be_counted_by_their_end(load_client: Sequence[object]) -> None:
    """For dialects that have no room for a mark."""
    with Gateway() as system, LoadClient(system.port, [system.request(SHARED)] * 3, load_client) as client:
        client.count_by("blank")
        client.open(3)
        client.wait(3)  # the greeting
        system.send_many([SHARED] * 100)
        client.wait(3 + 300)
        assert client.events() == 303


def test_an_event_carries_190_bytes() -> None:
    assert len(encoded()) == BYTES == 190


@pytest.mark.parametrize("kind", [Floor, JoinedFloor] if programs.compiler() else [])
def test_the_floor_writes_to_all_or_to_one(kind: type[Floor]) -> None:
    with audience(kind(), [f"job:{number}" for number in range(5)]) as crowd:
        crowd.listeners[SHARED] = 5
        assert crowd.burst([SHARED] * 200 + ["job:1"] * 3).figures["deliveries"] == 1003
        assert crowd.client.events() == 1003
