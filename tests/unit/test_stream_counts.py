"""Streams are counted as what they are: by user, by channel, and for clients."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.presence.stream_counts import CountedStream, StreamCounts, client_fields

IDS = st.sampled_from(["ann", "bob", "eve"])
CHANNELS = st.sampled_from(["client:ann", "client:bob", "broadcast", "job:1", "topic:x", "user:ann"])
PLACES = st.builds(
    CountedStream,
    st.one_of(IDS.map(lambda name: f"sub:{name}"), st.just("addr:::1")),
    st.lists(CHANNELS, max_size=4).map(tuple),
)


@given(st.lists(st.tuples(st.booleans(), PLACES), max_size=40))
def test_the_counts_are_those_of_the_streams_that_are_open(steps: list[tuple[bool, CountedStream]]) -> None:
    crowd, here = StreamCounts(), list[CountedStream]()
    for goes, place in steps:
        if goes and here:
            crowd.remove(here.pop(len(here) // 2))
        else:
            crowd.add(place)
            here.append(place)
    channels = {channel for place in here for channel in place.channels}
    clients = {channel for channel in channels if channel.startswith("client:")}
    assert crowd.counts == Counter(field for place in here for field in place.fields)
    assert all(count > 0 for count in crowd.counts.values())
    assert crowd.summary() == {
        "streams": len(here),
        "client_streams": sum(bool(clients & set(place.channels)) for place in here),
        "clients": len(clients),
        "channels": len(channels),
    }


@given(st.lists(PLACES, max_size=20), IDS)
def test_a_clients_streams_are_counted_once_each(places: list[CountedStream], client: str) -> None:
    crowd = StreamCounts()
    for place in places:
        crowd.add(place)
    hers = [p for p in places if p.user_key == f"sub:{client}" or f"client:{client}" in p.channels]
    assert sum(crowd.counts[field] for field in client_fields(client)) == len(hers)


def test_a_channel_that_is_named_twice_counts_once() -> None:
    assert CountedStream("sub:x", ("broadcast", "broadcast")).fields == ("user:sub:x", "ch:broadcast")


def test_a_place_that_was_not_taken_cannot_be_left() -> None:
    crowd = StreamCounts()
    crowd.add(CountedStream("sub:ann", ("broadcast",)))
    with pytest.raises(KeyError):
        crowd.remove(CountedStream("sub:bob", ("broadcast",)))
    assert crowd.streams == 1
