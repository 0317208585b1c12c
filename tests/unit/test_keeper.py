"""What the heartbeat wheel holds of connections that are closed."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from gateway.closing import Closing
from gateway.connection import Connection
from gateway.hub import Hub
from gateway.keeper import Keeper
from gateway.metrics import Metrics
from tests.unit.hub_world import FakeSocket, PlainEncoder


@pytest.mark.parametrize("lifetime_s", [None, 0.0, 3600.0, 1e9])
def test_a_closed_connection_is_forgotten_whatever_was_planned_for_it(lifetime_s: float | None) -> None:
    metrics = Metrics("test")
    hub = Hub(metrics, later=lambda action: action())
    keeper = Keeper(
        hub, metrics, heartbeat_s=15, write_timeout_s=30, unwant=lambda channels: None, compare=lambda now: None
    )
    connection = Connection("c", PlainEncoder(), FakeSocket(), limit=1000, wake=lambda: None)
    channel = hub.channel("topic:a")
    connection.channels = [channel]
    channel.add(connection)
    hub.connections[connection.id] = connection
    keeper.add(connection, None if lifetime_s is None else time.monotonic() + lifetime_s, Closing.AGE)
    hub.discard(connection)
    keeper.remove(connection)
    gone = weakref.ref(connection)
    del connection
    gc.collect()
    assert gone() is None and not channel.used
