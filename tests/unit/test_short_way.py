"""An event for one stream goes a short way through the hub, and nobody can tell."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.fanout.channel import Channel
from gateway.fanout.connection import Connection
from gateway.fanout.state import State
from publisher.envelope import START, Event, MessageError, Raw, decode, encode, split
from tests.support.chunks import dechunk
from tests.unit.hub_world import EPOCH, PlainEncoder, World, at, event

TYPES = ["tick", "tick", "tick", "job.progress", "job.created", "job.started", "job.completed", "job.cancelled"]
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
DATA = [b"1", b'{"owner":"ann"}', b"{}", '"\u2028ä"'.encode(), b"x" * 3000]
FATES = [*["next"] * 12, "gap", "again", "other history", "other epoch", "id", "trace", "broken", "broken too"]
NAMES = ["topic:a", "job:j", "client:c", "topic:b"]


@st.composite
def reads(draw: st.DrawFn) -> list[list[tuple[str, bytes]]]:
    """What some reads of Redis brought: on each channel mostly the next event, sometimes anything else."""
    newest = dict.fromkeys(NAMES, 1)
    found: list[list[tuple[str, bytes]]] = [[]]
    for _ in range(draw(st.integers(0, 25))):
        name, fate = draw(st.sampled_from(NAMES)), draw(st.sampled_from(FATES))
        seq = newest[name] + {"gap": 2, "again": 0}.get(fate, 1)
        newest[name] = max(seq, newest[name])
        said = event(name, seq, type=draw(st.sampled_from(TYPES)), history="x" if fate == "other history" else "m")
        said = said._replace(
            data=draw(st.sampled_from(DATA)),
            id="own ä" if fate == "id" else None,
            traceparent=TRACE if fate == "trace" else None,
            epoch="ABCDEFGH" if fate == "other epoch" else EPOCH,
        )
        found[-1].append((name, encode(said) + {"broken": b"\n", "broken too": b"\r"}.get(fate, b"")))
        if draw(st.booleans()):
            found.append([])
    return found


def told(encoder: PlainEncoder, arrived: list[list[tuple[str, bytes]]], *, chunked: bool) -> dict[str, Any]:
    """All that shows of what happened when these reads came."""
    world = World(encoder)
    topic, job, client, shared = (world.channel(name, at(1)) for name in NAMES)
    watched = [(topic,), (job,), (client, shared), (shared,)]
    streams = [world.connect(*channels, chunked=chunked) for channels in watched]
    client.join()
    for messages in arrived:
        world.hub.receive(messages)
        world.turn()
    return {
        "written": [[whole(each, chunked) for each in socket.written] for _, socket in streams],
        "states": [(each.state, each.closing) for each, _ in streams],
        "places": [(each.position, each.part, each.elsewhere, each.size) for each in (topic, job, client, shared)],
        "kept": [*client.tail],
        "suspects": sorted(set(world.suspects)),
        "delivered": world.metrics.events_delivered,
        "received": world.metrics.events_received,
        "unreadable": world.metrics.unreadable.counts,
        "latency": world.metrics.latency.counts(),
    }


def whole(data: bytes, chunked: bool) -> bytes:
    """Without the chunks, which may be cut between other events."""
    return b"".join(dechunk(data)) if chunked else data


@given(arrived=reads(), chunked=st.booleans())
def test_the_short_way_is_the_usual_way(arrived: list[list[tuple[str, bytes]]], chunked: bool) -> None:
    """Writes, places, doubts and counts, whatever comes."""
    short, usual = PlainEncoder(verbatim=True), PlainEncoder(verbatim=False)
    assert told(short, arrived, chunked=chunked) == told(usual, arrived, chunked=chunked)


def test_who_has_no_room_reads_on_from_the_event_before() -> None:
    """Nothing is lost that was not taken, and nothing is written behind it."""
    world = World()
    channel = world.channel("topic:a", START)
    connection, socket = world.connect(channel, limit=100)
    world.receive(event("topic:a", 1))
    socket.pause_after = 0
    world.receive(event("topic:a", 2))
    assert connection.paused
    for seq in range(3, 7):
        world.receive(event("topic:a", seq))
    assert connection.state is State.BEHIND
    queued = b"".join(connection.waiting).count(b"data: ")
    assert [*connection.behind.values()] == [at(2 + queued)]
    assert single(channel) is None and channel.position == at(6)


def single(channel: Channel) -> Connection | None:
    return channel.single


def test_it_is_gone_while_there_are_two() -> None:
    """Who joins is heard of at once, and who leaves is not written to any more."""
    world = World()
    channel = world.channel("topic:a", START)
    first, socket = world.connect(channel)
    assert single(channel) is first
    second, other = world.connect(channel)
    assert single(channel) is None
    world.receive(event("topic:a", 1))
    assert socket.written == other.written != []
    world.hub.discard(first)
    assert single(channel) is second
    world.receive(event("topic:a", 2))
    assert len(socket.written) == 1 and len(other.written) == 2
    world.hub.discard(second)
    assert single(channel) is None


@given(arrived=reads())
def test_what_is_split_is_what_is_read(arrived: list[list[tuple[str, bytes]]]) -> None:
    """One grammar: the bytes that :func:`split` gives are those that :func:`decode` reads."""
    for name, message in (each for read in arrived for each in read):
        raw = split(message)
        try:
            found = decode(name, message)
        except MessageError:
            assert raw is None
        else:
            plain = found.id is None and found.traceparent is None
            assert (raw is not None) is plain
            assert raw is None or as_event(name, raw) == found


def as_event(name: str, raw: Raw) -> Event:
    epoch, seq, mark, prev, time, type_, data = raw
    numbers = int(seq), mark.decode(), prev.decode(), int(time)
    return Event(name, epoch.decode(), *numbers, type_.decode(), data)
