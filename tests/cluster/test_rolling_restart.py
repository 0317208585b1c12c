"""Three nodes behind nginx are restarted one by one; `python -m tests.bench.rolling` has a thousand streams."""

from __future__ import annotations

from tests.bench import rolling

CLIENTS = 30


def test_each_stream_gets_each_event_once_and_in_order() -> None:
    seen = rolling.restarted(CLIENTS, drain_s=0.5, rest_s=0.2, RETRY_MS="50-100")
    assert seen["lost_or_doubled"] == 0 and seen["resets"] == 0
    assert seen["deliveries"] == CLIENTS * seen["events"] > 0
    assert seen["reconnects"] >= CLIENTS and len(seen["drains"]) == rolling.NODES
