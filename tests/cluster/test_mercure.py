"""The Mercure hub is one over all nodes: over kills, drains and losses in Redis no update is missing or comes twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from redis import Redis

from publisher import AsyncPublisher, BufferFull
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.mercure import PATH, SUBSCRIPTIONS, HubClient, classic, fields, heard
from tests.support.nginx import Nginx
from tests.support.node import Node
from tests.support.waiting import POLL_S, until

OPEN: dict[str, Any] = {"MERCURE": "true", "MERCURE_ANONYMOUS": "true", "DRAIN_S": "0.5"}
GONE_S = 60
"""Longer than the promise of 20 s, which the lease keeps: on a busy machine everything takes longer."""


async def test_one_order_over_all_nodes(start_node: Callable[..., Node]) -> None:
    """An id from one node is a place on the other."""
    first, second = (HubClient(start_node(**OPEN).base) for _ in range(2))
    query = {"topic": "https://example.com/{id}"}
    async with second.stream(query) as stream:
        await stream.opened()
        ids = [await hub.publish(f"https://example.com/{n}", str(n)) for n, hub in enumerate([first, second] * 5)]
        assert await heard(stream, "9") == [str(number) for number in range(10)]
    async with first.stream(query, last_event_id=ids[3]) as stream:
        assert await heard(stream, "9") == [str(number) for number in range(4, 10)]


async def test_a_browser_behind_nginx_gets_every_update_once_while_nodes_are_killed(
    start_node: Callable[..., Node], tmp_path: Path
) -> None:
    """EventSource comes back with the last id; and the killed node's subscriptions are gone, told once each."""
    nodes = [start_node(**OPEN) for _ in range(2)]
    survivor = HubClient(nodes[1].base)
    watching = classic(sub="watcher", subscribe=["*"])
    async with AsyncExitStack() as stack:
        nginx = stack.enter_context(Nginx(tmp_path, *(node.port for node in nodes)))
        hub = HubClient(nginx.base)
        path = f"{PATH}?{urlencode({'topic': 'https://example.com/{id}'})}"
        browsers = [await stack.enter_async_context(EventSource(nginx.base, path, reconnect=True)) for _ in range(6)]
        for browser in browsers:
            await browser.opened()
        ghosts = [
            await stack.enter_async_context(HubClient(nodes[0].base).stream({"topic": f"ghost-{number}"}))
            for number in range(3)
        ]
        for ghost in ghosts:
            await ghost.opened()
        watcher = await stack.enter_async_context(
            survivor.stream({"topic": f"{SUBSCRIPTIONS}/{{topic}}/{{subscriber}}"}, watching)
        )
        await watcher.opened()
        for number in range(10):
            await hub.publish(f"https://example.com/{number}", str(number))
        nodes[0].kill()
        for number in range(10, 30):
            await _publish_until_taken(hub, number)
        for browser in browsers:
            assert await heard(browser, "29") == [str(number) for number in range(30)]

        def ended() -> list[str]:
            said = [event.json() for event in watcher.events]
            return sorted(each["topic"] for each in said if not each["active"] and each["topic"].startswith("ghost"))

        await watcher.wait_for(lambda: len(ended()) >= 3, "the end of the ghosts", GONE_S)
        assert ended() == ["ghost-0", "ghost-1", "ghost-2"]
        topics = {each["topic"] for each in (await survivor.listed(watching))["subscriptions"]}
        assert not any(topic.startswith("ghost") for topic in topics)


async def _publish_until_taken(hub: HubClient, number: int) -> None:
    """A plain publisher tries again where the proxy had no answer; the id shows what was taken already."""
    bearer = classic(publish=["*"])
    body = fields(topic=f"https://example.com/{number}", data=str(number))
    while (await hub.post(body, bearer)).status != 200:
        await asyncio.sleep(0.05)


async def test_a_stopping_node_says_nothing_of_its_own(start_node: Callable[..., Node]) -> None:
    """Its streams end with a comment, its subscriptions are told to have ended, and new ones are sent away softly."""
    node, other = (start_node(**{**OPEN, "DRAIN_S": "60"}) for _ in range(2))
    watching = classic(sub="watcher", subscribe=["*"])
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(
            HubClient(other.base).stream({"topic": f"{SUBSCRIPTIONS}{{/topic}}{{/subscriber}}"}, watching)
        )
        await watcher.opened()
        streams = [
            await stack.enter_async_context(HubClient(node.base).stream({"topic": f"a{number}"})) for number in range(3)
        ]
        for stream in streams:
            await stream.opened()
        node.terminate()
        await until(lambda: node.readyz() == 503, "the drain")
        refused = await stack.enter_async_context(HubClient(node.base).stream({"topic": "a"}))
        await refused.wait_stopped()
        assert (refused.status, refused.events, refused.comments) == (200, [], [" draining"])
        assert refused.retry_ms is not None
        node.terminate()  # a second signal cuts the drain short
        for stream in streams:
            await stream.wait_stopped()
            assert stream.events == []
        assert await asyncio.to_thread(node.wait) == 0
        said = [(await watcher.next_event()).json() for _ in range(6)]
        for topic in ("a0", "a1", "a2"):
            assert [each["active"] for each in said if each["topic"] == topic] == [True, False]
    assert "Traceback" not in node.log


async def test_without_redis_nothing_is_published_and_streams_go_on_afterwards(own_broker: Broker) -> None:
    prefix = f"m{secrets.token_hex(5)}"
    with Node(own_broker.url, prefix, **OPEN) as node:
        hub = HubClient(node.base)
        async with hub.stream({"topic": "a"}, reconnect=True) as stream:
            await stream.opened()
            await hub.publish("a", "before")
            own_broker.stop()
            answer = await hub.post(fields(topic="a", data="lost"))
            assert answer.status == 503
            assert int(answer.headers["retry-after"]) >= 1
            fetched = await hub.get(f"{PATH}?topic=a", headers={"Accept": "*/*"})
            assert fetched.status == 503
            assert "retry-after" in fetched.headers
            own_broker.start()

            async def taken() -> bool:
                return (await hub.post(fields(topic="a", data="after"))).status == 200

            await until(taken, "the node to publish again")
            assert await heard(stream, "after") == ["before", "after"]
        listed = await hub.listed(classic(subscribe=["*"]))
        assert [each["topic"] for each in listed["subscriptions"]] in (["a"], [])


async def test_a_history_that_is_lost_sends_streams_back_for_what_came_since(own_broker: Broker) -> None:
    """Nothing tells a Mercure client that it missed something: its stream ends, and it comes for all that is kept."""
    prefix = f"m{secrets.token_hex(5)}"
    with Node(own_broker.url, prefix, **OPEN) as node, Redis.from_url(own_broker.url) as redis:
        hub = HubClient(node.base)
        async with hub.stream({"topic": "a"}, reconnect=True) as stream:
            await stream.opened()
            await hub.publish("a", "before")
            await hub.publish("a", "and this")
            assert await heard(stream, "and this") == ["before", "and this"]
            redis.flushall()
            await hub.publish("a", "first of the new")
            await hub.publish("a", "second")
            assert await heard(stream, "second") == ["first of the new", "second"]
            assert stream.response_headers["mercure-last-event-id"] == "earliest"


async def test_all_hear_the_same_in_one_order_while_a_node_and_redis_are_killed(
    own_broker: Broker, prefix: str, tmp_path: Path
) -> None:
    """Of form publishers and native ones, private and public, by selectors of all kinds: everything that was answered
    with an id, once."""
    taken: set[str] = set()
    done = asyncio.Event()

    async def form_publisher(hub: HubClient, name: str) -> None:
        bearer = classic(publish=["*"])
        for number in itertools.count():
            if done.is_set():
                return
            data, private = f"{name}-{number}", [("private", "on")] if number % 3 == 0 else []
            with contextlib.suppress(OSError, EOFError, ValueError):  # whatever a proxy makes of a killed node
                if (await hub.post(fields(("topic", f"s{name}"), ("data", data), *private), bearer)).status == 200:
                    taken.add(data)

    async def worker(publisher: AsyncPublisher) -> None:
        for number in itertools.count():
            if done.is_set():
                return
            try:
                if await publisher.publish("topic:native", "tick", number) is not None:
                    taken.add(str(number))
            except BufferFull:  # Redis takes its time to come back
                await asyncio.sleep(POLL_S)

    async with AsyncExitStack() as stack:
        nodes = [stack.enter_context(Node(own_broker.url, prefix, **OPEN)) for _ in range(2)]
        nginx = stack.enter_context(Nginx(tmp_path, *(node.port for node in nodes)))
        hub = HubClient(nginx.base)
        queries = [
            [("topic", "s{name}"), ("topic", "native")],
            [("topic", "*")],
            [("match", "native"), ("match_urlpattern", "/:any"), ("topic", "{+all}")],
        ]
        browsers = [
            await stack.enter_async_context(hub.stream(query, classic(subscribe=["s{name}"]), reconnect=True))
            for query in queries * 3
        ]
        for browser in browsers:
            await browser.opened()
        publisher = await stack.enter_async_context(
            AsyncPublisher.from_url(own_broker.url, prefix=prefix, on_error="buffer")
        )
        publishers = [asyncio.create_task(form_publisher(hub, name)) for name in "ab"]
        publishers.append(asyncio.create_task(worker(publisher)))
        await until(lambda: len(taken) > 100, "some updates")
        nodes[0].kill()
        before = len(taken)
        await until(lambda: len(taken) > before + 100, "some more")
        await asyncio.to_thread(nodes[0].start)
        own_broker.kill()
        own_broker.start()
        await until(lambda: len(taken) > before + 300, "the rest")
        done.set()
        await asyncio.gather(*publishers)
        while (await hub.post(fields(topic="send", data="end"))).status != 200:
            await asyncio.sleep(0.05)
        heard_by = []
        for browser in browsers:
            events = await browser.collect_until(lambda event: event.data == "end")
            heard_by.append([(event.last_event_id, event.data) for event in events])
    for log in heard_by:
        assert len(set(log)) == len(log)
        assert log == heard_by[0]
        assert taken <= {data for _, data in log}
