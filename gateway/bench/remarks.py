"""What the figures of a load test mean, in sentences with remedies. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

NODE_BUSY: Final = 0.9
LATE_SHARE: Final = 0.97
OWN_LAG_MS: Final = 5
"""A load client that is less late than this is as good as one gets."""
_REFUSALS: Final = {
    "user_limit": "One user may hold only GATEWAY_MAX_CONNECTIONS_PER_USER streams: give bench the nodes' "
    "GATEWAY_JWT_KEY, so that it comes as many users, or set that limit to 0 for the test "
    "(`dev`: GATEWAY_MAX_CONNECTIONS_PER_USER=0 make run).",
    "rate_limit": "New streams came faster than GATEWAY_CONNECT_RATE_PER_S lets in, of which a single user gets half: "
    "take a smaller --ramp.",
    "node_limit": "The node holds GATEWAY_MAX_CONNECTIONS streams.",
    "status 401": "The node wants a token: --token, or the nodes' GATEWAY_JWT_KEY in the environment.",
    "status 403": "The token does not allow topic:bench-… channels: name them in its channels claim (topic:*).",
    "redis_down": "The node has no connection to Redis.",
}


def remarks(figures: dict[str, Any]) -> list[str]:
    """What a reader of the figures has to know."""
    return list(_remarks(figures))


def ok(figures: dict[str, Any]) -> bool:
    """Whether every event reached every stream that was open, once and in order."""
    deliveries = figures["deliveries"]
    failed = deliveries["lost"] or deliveries["repeated"] or deliveries["out_of_order"] or figures["events"]["error"]
    return bool(figures["streams"]["opened"]) and not failed and not _deaf(figures)


def _remarks(figures: dict[str, Any]) -> Iterator[str]:
    streams, events, deliveries = figures["streams"], figures["events"], figures["deliveries"]
    for reason in streams["refused"]:
        if reason in _REFUSALS:
            yield _REFUSALS[reason]
    if events["error"]:
        yield f"Publishing had to stop: {events['error']}"
    elif events["published"] and events["per_s"] < figures["asked"]["rate"] * LATE_SHARE and _long(figures):
        yield (
            f"Publishing reached only {events['per_s']:g} of {figures['asked']['rate']:g} events per second: Redis, or "
            "the process that publishes, was the limit."
        )
    if _deaf(figures):
        yield "Nothing arrived: is --redis-url (and GATEWAY_REDIS_PREFIX) what the nodes use?"
    if deliveries["missing_on_closed_streams"]:
        yield (
            f"{deliveries['missing_on_closed_streams']:,} events were not delivered because their streams were not "
            "open at the end: that is no loss yet, but they have not come back in time."
        )
    yield from _limits(figures)


def _limits(figures: dict[str, Any]) -> Iterator[str]:
    client = figures["client"]
    if client["was_the_limit"]:
        yield (
            f"The load client was the limit: it used {client['cpu_share']:.0%} of a core. Its latencies are its own; "
            "run several at once, or take fewer connections or events."
        )
    elif _own_lag(figures):
        yield (
            f"The load client was up to {client['lag_ms']['p99']:.1f} ms late itself (p99), a good part of the "
            "latencies: leave it a core of its own."
        )
    for node in figures["nodes"]:
        if node["cpu_share"] is not None and node["cpu_share"] > NODE_BUSY:
            yield f"{node['url']} was the limit: it used {node['cpu_share']:.0%} of a core."
        if not node["one_node"]:
            yield (
                f"{node['url']} was answered by several nodes in turn, or by one that was started again: there are no "
                "figures of its own. Name each node with a --url of its own."
            )
        elif node["memory_bytes"] == [None] * 3:
            yield f"{node['url']} shows no memory: /metrics cannot be read there, or is not on Linux."


def _own_lag(figures: dict[str, Any]) -> bool:
    late, latency = figures["client"]["lag_ms"]["p99"], figures["latency_ms"]["p99"]
    return late is not None and latency is not None and late > OWN_LAG_MS and late > latency / 2


def _deaf(figures: dict[str, Any]) -> bool:
    return bool(figures["deliveries"]["expected"]) and not figures["deliveries"]["received"]


def _long(figures: dict[str, Any]) -> bool:
    """Long enough for a rate to mean something."""
    return bool(figures["asked"]["rate"] * figures["asked"]["seconds"] >= 20)
