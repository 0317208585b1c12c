"""In which order, and when, a stopping node lets its streams go."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.fanout.connection import Connection


def drain_order(
    connections: Iterable[Connection], window_s: float, last_share: float
) -> list[tuple[float, Connection]]:
    """(seconds after the beginning, connection), evenly spread so that the other nodes see no storm.

    Streams whose clients take any end as final come last: most of their jobs end by themselves until then.
    """
    all_of_them = list(connections)
    early = [connection for connection in all_of_them if not connection.encoder.final]
    late = [connection for connection in all_of_them if connection.encoder.final]
    split = window_s * (last_share if late else 0.9)
    return [
        *_spread(early, 0.0, split),
        *_spread(late, split, window_s * 0.95),
    ]


def _spread(connections: list[Connection], start: float, end: float) -> list[tuple[float, Connection]]:
    step = (end - start) / max(1, len(connections))
    return [(start + step * index, connection) for index, connection in enumerate(connections)]
