"""From one node to a million streams on paper: what a fleet costs, and how long it takes to come back. Pure, seeded."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.limits import FREQUENT, RESERVE

REFUSAL_S: Final = (5, 30)
"""A refused stream is told to come back after so many seconds, each in this range as likely as the others."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured on one machine; microseconds of one core, bytes."""

    steady_us: float = 11.0
    """Node: a delivery that is a write of its own."""
    joined_us: float = 0.3
    """Node: a delivery that shares its write with many."""
    open_us: float = 450.0
    """Node: a stream with a token that opens a channel of its own; 250 to 330 where others listen to it already."""
    stream_bytes: float = 7.2 * 1024
    """Node: an idle stream with a token and a channel of its own; 6 KiB where others listen to it already."""
    own_us: float = 90.0
    """Node: an event for one stream alone, from Redis to the socket."""
    node_bytes: float = 55 * 2**20
    """Node: a process without streams."""
    publish_us: float = 30.0
    """Redis: an event, before anybody hears it; 30 to 75 one by one, 9 in lists of 64 and more."""
    push_us: float = 1.5
    """Redis: an event to one more node; 5 for one alone, 0.3 in batches."""
    arrive_us: float = 28.0
    """Redis: a stream that comes and goes, counted for all nodes, however many there are."""
    resume_us: float = 10.0
    """Redis: the read with which a stream begins."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients of a fleet want. ``own_per_s``: events that one stream gets alone, per stream;
    ``shared_per_s``: events that all streams get; ``visit_s``: how long a stream lasts."""

    streams: int
    own_per_s: float = 0.05
    shared_per_s: float = 0.1
    visit_s: float = 600.0
    event_bytes: int = 400


FULL: Final = 0.6
"""Share of a core that a server is planned with: the rest is for storms, and for when a neighbour is gone."""


class Need(NamedTuple):
    nodes: int
    node_cpu: float
    """Share of a core, each node."""
    node_memory: float
    """Bytes, each node."""
    redis_cpu: float
    """Share of a core; above 1 one server cannot do it."""
    redis_bytes_per_s: float
    """Out of Redis, to all nodes."""
    by_part: dict[str, float]
    """Redis' CPU share by what it does."""

    @property
    def shards(self) -> int:
        """Redis servers; presence, and each single channel, lives on one of them."""
        return max(1, math.ceil(self.redis_cpu / FULL))


def _node_us(load: Load, costs: Costs) -> float:
    """CPU of a node in a second, per stream."""
    return load.shared_per_s * costs.steady_us + load.own_per_s * costs.own_us + costs.open_us / load.visit_s


def _nodes(load: Load, costs: Costs, per_node: int) -> int:
    by_cpu = load.streams * _node_us(load, costs) / 1e6 / FULL
    return max(1, math.ceil(load.streams / per_node), math.ceil(by_cpu))


def need(load: Load, costs: Costs, per_node: int = 20_000) -> Need:
    """What a fleet of nodes with up to ``per_node`` streams each takes, in a steady state."""
    nodes = _nodes(load, costs, per_node)
    each = load.streams / nodes
    opens = load.streams / load.visit_s
    own = load.streams * load.own_per_s
    redis = {
        "own events": own * (costs.publish_us + costs.push_us),
        "shared events": load.shared_per_s * (costs.publish_us + costs.push_us * nodes),
        "streams that come": opens * costs.resume_us,
        "presence": opens * costs.arrive_us,
    }
    parts = {name: value / 1e6 for name, value in redis.items()}
    return Need(
        nodes,
        each * _node_us(load, costs) / 1e6,
        costs.node_bytes + each * costs.stream_bytes,
        math.fsum(parts.values()),
        (own + load.shared_per_s * nodes) * load.event_bytes,
        parts,
    )


@dataclass(frozen=True, slots=True)
class Storm:
    """Streams that lose their node at once (``over_s`` 0), or over a drain window, and go to ``nodes`` others."""

    streams: int
    nodes: int
    retry_s: tuple[float, float] = (1.0, 5.0)
    over_s: float = 0.0
    rate_per_s: float = 500.0
    """``GATEWAY_CONNECT_RATE_PER_S`` of each of the other nodes; 0: no limit."""
    open_us: float = Costs().open_us
    room: int | None = None
    """Streams that each of the others has room for; None: enough."""
    one_user: bool = False
    """Whether all of them count as one user, who has to leave half of a node's rate to others."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Return:
    """How a storm went: when each stream was open again, and how often one was refused."""

    streams: int
    back_at: list[float]
    refusals: int
    busiest_s: float
    """The longest time that somebody waited for a node that was busy opening others."""

    def share_back(self, at_s: float) -> float:
        return sum(back <= at_s for back in self.back_at) / self.streams

    def until(self, share: float) -> float:
        """Seconds until this share is back; infinite where it never is."""
        wanted = math.ceil(share * self.streams)
        return sorted(self.back_at)[wanted - 1] if 0 < wanted <= len(self.back_at) else math.inf


@dataclass(slots=True)
class _Node:
    tokens: float
    filled_at: float = 0.0
    free_at: float = 0.0
    open: int = 0
    second: int = -1
    asked: int = 0
    """Tries in this second."""


GIVE_UP_S: Final = 3600.0


def storm(plan: Storm) -> Return:
    """Simulate it, one attempt after the other. A balancer gives each attempt to a node at random."""
    chance = random.Random(plan.seed)
    nodes = [_Node(plan.rate_per_s) for _ in range(plan.nodes)]
    attempts = [plan.over_s * index / plan.streams + chance.uniform(*plan.retry_s) for index in range(plan.streams)]
    heapq.heapify(attempts)
    back, refusals, busiest = [], 0, 0.0
    while attempts:
        now = heapq.heappop(attempts)
        if now > GIVE_UP_S:
            break
        node = nodes[chance.randrange(plan.nodes)]
        if not _admitted(node, now, plan):
            refusals += 1
            heapq.heappush(attempts, now + refused_pause_s(chance))
            continue
        node.open += 1
        node.free_at = max(now, node.free_at) + plan.open_us / 1e6
        busiest = max(busiest, node.free_at - now)
        back.append(node.free_at)
    return Return(plan.streams, back, refusals, busiest)


def refused_pause_s(chance: random.Random) -> float:
    return chance.uniform(*REFUSAL_S)


def _admitted(node: _Node, now: float, plan: Storm) -> bool:
    """The node's own rule: a bucket of one second's worth of tokens, and room."""
    if plan.room is not None and node.open >= plan.room:
        return False
    if not plan.rate_per_s:
        return True
    node.tokens = min(plan.rate_per_s, node.tokens + (now - node.filled_at) * plan.rate_per_s)
    node.filled_at = now
    if node.tokens < 1 + (_reserved(node, now, plan) if plan.one_user else 0):
        return False
    node.tokens -= 1
    return True


def _reserved(node: _Node, now: float, plan: Storm) -> float:
    """What a single user who asks often has to leave (``gateway.limits``)."""
    if int(now) != node.second:
        node.second, node.asked = int(now), 0
    node.asked += 1
    return plan.rate_per_s * RESERVE if node.asked > max(1.0, plan.rate_per_s * FREQUENT) else 0.0
