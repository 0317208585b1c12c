"""Mercure topics and native topics of the same name are one: what is published on either side reaches both."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from publisher import AsyncPublisher
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.mercure import HubClient, classic, heard
from tests.support.node import Node
from tests.support.tokens import token


@pytest.fixture(scope="module")
def hub_settings() -> dict[str, Any]:
    return {"MERCURE_ANONYMOUS": "true", "ANONYMOUS": "read", "PRESENCE_EVENTS": "true"}


@pytest.fixture
async def worker(broker: Broker, hub_prefix: str) -> AsyncIterator[AsyncPublisher]:
    async with AsyncPublisher.from_url(broker.url, prefix=hub_prefix) as running:
        yield running


@pytest.fixture
def topic() -> str:
    """A name that a native topic has too."""
    return f"prices-{secrets.token_hex(5)}"


def native(hub: HubClient, *topics: str) -> EventSource:
    return EventSource(hub.base, "/v1/events?" + "&".join(f"channel=topic:{topic}" for topic in topics))


PUBLISHED = {
    "an object": ('{"p": 1}', "tick", '{"p": 1}', "tick"),
    "JSON over lines": ('{\n "p":\r\n 1}', "tick", '{  "p":   1}', "tick"),
    "a long number": ("123456789012345678901234567890", "tick", "123456789012345678901234567890", "tick"),
    "a long number over lines": ("[\n12345678901234567890123\n]", "tick", "[ 12345678901234567890123 ]", "tick"),
    "a text": ("hello\nworld", "", '"hello\\nworld"', "message"),
    "nothing": ("", "", '""', "message"),
    "null": ("null", "", "null", "message"),
    "a type that is none there": ("1", "say hello", "1", "message"),
    "the node's own word": ("1", "stream.reset", "1", "message"),
    "a job's word": ("1", "job.completed", "1", "message"),
    "what is too deep": ("[" * 100 + "]" * 100, "", '"' + "[" * 100 + "]" * 100 + '"', "message"),
}


@pytest.mark.parametrize(("data", "type", "arrives", "as_type"), PUBLISHED.values(), ids=PUBLISHED.keys())
async def test_a_publication_comes_on_the_native_topic(
    hub: HubClient, topic: str, data: str, type: str, arrives: str, as_type: str
) -> None:
    async with native(hub, topic) as stream:
        await stream.next_of_type("stream.open")
        await hub.publish(topic, data, type=type, id=f"own-{topic}")
        event = await stream.next_event()
        assert (event.type, event.data) == (as_type, arrives)


async def test_each_topic_that_has_a_native_name_gets_one_event(hub: HubClient, topic: str) -> None:
    """An id that is used twice is no idempotency key there either."""
    async with native(hub, topic, f"{topic}-2") as stream:
        await stream.next_of_type("stream.open")
        for _ in range(2):
            await hub.publish("has blanks", "1", ("topic", topic), ("topic", f"{topic}-2"), id="same")
        await hub.publish(topic, "2")
        events = await stream.collect_until(lambda event: event.data == "2")
        assert [event.data for event in events] == ["1"] * 4 + ["2"]


async def test_private_updates_stay_on_the_hub(hub: HubClient, topic: str) -> None:
    async with native(hub, topic) as stream:
        await stream.next_of_type("stream.open")
        await hub.publish(topic, '"secret"', private="on")
        await hub.publish(topic, '"public"')
        assert (await stream.next_event()).data == '"public"'


async def test_nobody_speaks_of_presence_for_the_nodes(hub: HubClient) -> None:
    bearer = token("ops", scope="stats")
    async with EventSource(hub.base, "/v1/events?channel=topic:presence", token=bearer) as stream:
        await stream.next_of_type("stream.open")
        await hub.publish("presence", '{"client_id": "forged"}', type="presence.joined")
        async with EventSource(hub.base, "/v1/clients/real/events") as client:
            await client.opened()
            assert (await stream.next_event()).json()["client_id"] == "real"


async def test_a_native_event_is_an_update(hub: HubClient, topic: str, worker: AsyncPublisher) -> None:
    """With its JSON as it is, its type and its own id; once, however often it is sent."""
    async with hub.stream({"topic": topic}) as stream:
        await stream.opened()
        await worker.publish(f"topic:{topic}", "tick", {"p": 1, "text": 'x,"json":y'}, id="own-1")
        await worker.publish(f"topic:{topic}", "tick", {"p": 1}, id="own-1")
        await worker.publish(f"topic:{topic}", "mercure", None)
        await worker.publish_many([(f"topic:{topic}", "tock", [1, 2])])
        assert await stream.next_event() == ("tick", '{"p":1,"text":"x,\\"json\\":y"}', "own-1")
        second = await stream.next_event()
        assert (second.type, second.data) == ("message", "null")
        assert second.last_event_id.startswith("urn:sse:")
        assert (await stream.next_event())[:2] == ("tock", "[1,2]")
    async with hub.stream({"topic": topic}, last_event_id="own-1") as stream:
        assert await heard(stream, "[1,2]") == ["null", "[1,2]"]


async def test_both_sides_stand_in_one_order(hub: HubClient, topic: str, worker: AsyncPublisher) -> None:
    first = await hub.publish(topic, "0")
    for number in range(1, 9, 2):
        await worker.publish(f"topic:{topic}", "tick", number)
        await hub.publish(f"{topic}-other", str(number + 1))
    query = [("topic", topic), ("topic", f"{topic}-other")]
    async with hub.stream(query, last_event_id=first) as stream:
        assert await heard(stream, "8") == [str(number) for number in range(1, 9)]


async def test_everything_is_never_more_than_topics(hub: HubClient, topic: str, worker: AsyncPublisher) -> None:
    everything = classic(subscribe=["*"])
    async with hub.stream([("topic", "*")], everything) as stream:
        await stream.opened()
        await worker.send("somebody", "secret", 1)
        await worker.broadcast("secret", 2)
        async with worker.job(f"j-{topic}", kind="k", owner="somebody") as job:
            await job.progress(50)
        await worker.publish("topic:presence", "secret", 3)
        await worker.publish(f"topic:{topic}", "tick", 4)
        events = await stream.collect_until(lambda event: event.type == "tick")
    assert [event.data for event in events if event.type != "mercure" and "Subscription" not in event.data] == ["4"]


async def test_in_another_database_too(broker: Broker, prefix: str, topic: str) -> None:
    """Redis has one pub/sub for all of them, so its names are others there."""
    url = f"{broker.url.removesuffix('/0')}/7"
    with Node(url, prefix, MERCURE="true", MERCURE_ANONYMOUS="true", ANONYMOUS="read") as node:
        hub = HubClient(node.base)
        async with (
            AsyncPublisher.from_url(url, prefix=prefix) as worker,
            hub.stream({"topic": topic}) as stream,
            native(hub, topic) as other,
        ):
            await stream.opened()
            await other.next_of_type("stream.open")
            await worker.publish(f"topic:{topic}", "tick", 1)
            await hub.publish(topic, "2", type="tick")
            assert await heard(stream, "2") == ["1", "2"]
            assert [(await other.next_event()).data for _ in range(2)] == ["1", "2"]


async def test_where_nothing_is_open_a_native_topic_is_for_tokens_that_cover_it(broker: Broker, prefix: str) -> None:
    """Any good token may subscribe, but none reads by the hub what the native table keeps from it."""
    with Node(broker.url, prefix, MERCURE="true") as node:
        hub = HubClient(node.base)
        query = [("topic", "{x}")]
        async with (
            AsyncPublisher.from_url(broker.url, prefix=prefix) as worker,
            hub.stream(query, token("eve")) as eve,
            hub.stream(query, classic(subscribe=["prices"])) as ann,
        ):
            await eve.opened()
            await ann.opened()
            first = await hub.publish("news", "public")
            await worker.publish("topic:prices", "tick", 1)
            await hub.publish("news", "end")
            assert await heard(eve, "end") == ["public", "end"]
            assert await heard(ann, "end") == ["public", "1", "end"]
        async with hub.stream(query, token("eve"), last_event_id=first) as eve:
            assert await heard(eve, "end") == ["end"]
