"""Who is subscribed to the Mercure hub: listed, and told to those who may know, in the words of both versions."""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis

from publisher.keys import hub_keys
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.mercure import MODERN, PATH, SUBSCRIPTIONS, HubClient, classic, detail, fields, heard, modern
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until

TEMPLATE = f"{SUBSCRIPTIONS}{{/topic}}{{/subscriber}}"
PATTERN = {"match": f"{SUBSCRIPTIONS}/*", "match_type": "urlpattern"}


@pytest.fixture(scope="module")
def hub_settings() -> dict[str, Any]:
    return {"MERCURE_ANONYMOUS": "true", **MODERN}


@pytest.fixture
def topic(topic: str) -> str:
    return f"{topic}/{{id}}"


def watcher() -> str:
    """May read of all subscriptions, in the words of 0.x."""
    return classic(sub="watcher", subscribe=["*"])


def modern_watcher() -> str:
    return modern(detail(["subscribe"], PATTERN, f"{SUBSCRIPTIONS}"), sub="watcher")


async def test_a_subscription_of_0_x_is_announced_and_listed(hub: HubClient, topic: str) -> None:
    async with hub.stream({"topic": TEMPLATE}, watcher()) as watching:
        await watching.opened()
        async with hub.stream({"topic": topic}, classic(payload={"user": 7})) as stream:
            await stream.opened()
            began = await watching.next_event()
            document = began.json()
            name = document["subscriber"]
            assert name.startswith("urn:uuid:")
            address = f"{SUBSCRIPTIONS}/{quote(topic, safe='')}/{quote(name, safe='')}"
            expected = {
                "@context": "https://mercure.rocks/",
                "id": address,
                "type": "Subscription",
                "topic": topic,
                "subscriber": name,
                "active": True,
                "payload": {"user": 7},
            }
            assert (began.type, document) == ("message", expected)
            listed = await hub.listed(watcher(), f"{SUBSCRIPTIONS}/{quote(topic, safe='')}")
            inner = {key: value for key, value in expected.items() if key != "@context"}
            assert listed == {
                "@context": "https://mercure.rocks/",
                "id": f"{SUBSCRIPTIONS}/{quote(topic, safe='')}",
                "type": "Subscriptions",
                "lastEventID": began.last_event_id,
                "subscriptions": [inner],
            }
            single = await hub.get(address, watcher())
            assert single.headers["content-type"] == "application/ld+json"
            assert json.loads(single.body) == {**expected, "lastEventID": began.last_event_id}
        ended = await watching.next_event()
        assert ended.json() == {**expected, "active": False}
        assert (await hub.get(address, watcher())).status == 404


async def test_a_subscription_of_1_0_is_announced_and_listed(hub: HubClient) -> None:
    name = secrets.token_hex(6)
    pattern = f"https://example.com/{name}/:id"
    bearer = modern(
        detail(["subscribe"], {"match": pattern, "match_type": "urlpattern"}, payload={"of": "this"}),
        detail(["subscribe"], "*", payload={"of": "the rest"}),
    )
    async with hub.stream({"match_urlpattern": f"{SUBSCRIPTIONS}/*"}, modern_watcher()) as watching:
        await watching.opened()
        async with hub.stream([("match", name), ("match_urlpattern", pattern)], bearer) as stream:
            await stream.opened()
            began = [await watching.next_event(), await watching.next_event()]
            assert {event.type for event in began} == {"mercure"}
            exact, by_pattern = (event.json() for event in began)
            subscriber = exact["subscriber"]
            assert exact == {
                "id": f"{SUBSCRIPTIONS}/exact/{name}/{quote(subscriber, safe='')}",
                "type": "subscription",
                "match": name,
                "match_type": "exact",
                "subscriber": subscriber,
                "active": True,
                "payload": {"of": "the rest"},
            }
            assert by_pattern["id"].startswith(f"{SUBSCRIPTIONS}/urlpattern/{quote(pattern, safe='')}/")
            assert by_pattern["payload"] == {"of": "this"}
            assert by_pattern["subscriber"] == subscriber
            path = f"{SUBSCRIPTIONS}/exact/{name}"
            answer = await hub.get(path, modern_watcher())
            assert answer.headers["content-type"] == "application/json"
            assert f'last-event-id="{began[-1].last_event_id}"' in answer.headers["link"]
            assert json.loads(answer.body) == {
                "id": path,
                "type": "subscriptions",
                "last_event_id": began[-1].last_event_id,
                "subscriptions": [exact],
            }
            single = json.loads((await hub.get(exact["id"], modern_watcher())).body)
            assert single == {**exact, "last_event_id": began[-1].last_event_id}
        ended = [await watching.next_event(), await watching.next_event()]
        assert [event.json()["active"] for event in ended] == [False, False]


async def test_the_collection_lists_all_of_both(hub: HubClient) -> None:
    name = secrets.token_hex(6)
    async with hub.stream([("topic", name), ("match", name)]) as stream:
        await stream.opened()
        for bearer, last in ((watcher(), "lastEventID"), (modern_watcher(), "last_event_id")):
            listed = await hub.listed(bearer)
            kinds = [each["type"] for each in listed["subscriptions"] if name in (each.get("topic"), each.get("match"))]
            assert sorted(kinds) == ["Subscription", "subscription"]
            assert last in listed


async def test_a_list_is_fresh_until_it_changes(hub: HubClient) -> None:
    name = secrets.token_hex(6)
    path = f"{SUBSCRIPTIONS}/{name}"
    empty = await hub.get(path, watcher())
    assert json.loads(empty.body)["subscriptions"] == []
    known = {"If-None-Match": empty.headers["etag"]}
    assert (await hub.get(path, watcher(), known)).status == 304
    async with hub.stream({"topic": name}) as stream:
        await stream.opened()
        assert (await hub.get(path, watcher(), known)).status == 200


async def test_what_was_listed_goes_on_as_events(hub: HubClient) -> None:
    """Nothing is lost between the list and the stream that begins with the id that it named."""
    name = secrets.token_hex(6)
    listed = await hub.listed(watcher())
    async with hub.stream({"topic": name}) as stream:
        await stream.opened()
    query = [("topic", f"{SUBSCRIPTIONS}/{name}{{/subscriber}}"), ("lastEventID", listed["lastEventID"])]
    async with hub.stream(query, watcher()) as watching:
        events = [await watching.next_event(), await watching.next_event()]
        assert [event.json()["active"] for event in events] == [True, False]


async def test_who_may_not_know_is_told_nothing(hub: HubClient) -> None:
    name = secrets.token_hex(6)
    paths = (SUBSCRIPTIONS, f"{SUBSCRIPTIONS}/{name}", f"{SUBSCRIPTIONS}/{name}/x")
    for path in paths:
        assert (await hub.get(path)).status == 401
        assert (await hub.get(path, classic(subscribe=[name]))).status == 403
        assert (await hub.get(path, classic(publish=["*"]))).status == 403
        assert (await hub.get(path, modern(detail(["subscribe"], name)))).status == 403
    only = classic(subscribe=[f"{SUBSCRIPTIONS}/{name}"])
    assert (await hub.get(paths[1], only)).status == 200
    assert (await hub.get(paths[0], only)).status == 403
    query = [("topic", "*"), ("topic", "end")]
    async with hub.stream(query, classic(subscribe=[name])) as stream:
        await stream.opened()
        async with hub.stream({"topic": name}) as other:
            await other.opened()
        await hub.publish("end", "end")
        assert (await stream.next_event()).data == "end"


async def test_paths_that_lead_nowhere(hub: HubClient) -> None:
    everything = modern(detail(["subscribe"], "*"))
    for bearer, path in (
        (watcher(), "/a/b/c"),
        (everything, "/exact"),
        (everything, "/exact/a/b"),
        (watcher(), "/a/b"),
        (watcher(), "/a/b/c/d"),
        (watcher(), "/%ff/b"),
    ):
        assert (await hub.get(SUBSCRIPTIONS + path, bearer)).status == 404, path


async def test_nothing_of_a_stream_stays_behind(hub: HubClient, hub_node: Node) -> None:
    """However it ended: by the client, or refused."""
    name = secrets.token_hex(6)
    async with hub.stream({"topic": name}) as stream:
        await stream.opened()

    async def gone() -> bool:
        return not (await hub.listed(watcher(), f"{SUBSCRIPTIONS}/{name}"))["subscriptions"]

    await until(gone, "the end of the subscription")


async def test_streams_of_one_selection_share_nothing_but_what_they_hear(hub: HubClient) -> None:
    """Each is a subscriber of its own."""
    name = secrets.token_hex(6)
    async with hub.stream({"topic": name}) as one, hub.stream({"topic": name}) as two:
        await one.opened()
        await two.opened()
        listed = (await hub.listed(watcher(), f"{SUBSCRIPTIONS}/{name}"))["subscriptions"]
        assert len({each["subscriber"] for each in listed}) == 2
        update = await hub.publish(name, "x")
        assert [(await each.next_event()).last_event_id for each in (one, two)] == [update, update]


async def test_below_a_path_of_the_site_the_hub_is_there_with_all_its_addresses(broker: Broker) -> None:
    settings: dict[str, Any] = {"MERCURE_ANONYMOUS": "true", "ROOT_PATH": "/sse"}
    with Node(broker.url, f"m{secrets.token_hex(5)}", MERCURE="true", **settings) as node:
        hub = HubClient(node.base)
        below = f"/sse{SUBSCRIPTIONS}"
        own = [("topic", "a"), ("match_urlpattern", "/sse/b/:id")]
        async with hub.stream(own) as stream:
            await stream.opened()
            assert stream.response_headers["link"] == f'<{node.base}/sse{PATH}>; rel="mercure"'
            listed = await hub.listed(watcher(), below)
            assert listed["id"] == below
            assert all(each["id"].startswith(f"{below}/") for each in listed["subscriptions"])
            assert await hub.listed(classic(subscribe=[f"{below}/a"]), f"{SUBSCRIPTIONS}/a") == {
                **listed,
                "id": f"{below}/a",
                "subscriptions": [each for each in listed["subscriptions"] if each.get("topic") == "a"],
            }
            for path in (PATH, f"/sse{PATH}"):
                answer = await hub.post(fields(topic="a", data=path), path=path)
                assert answer.status == 200
                assert (await stream.next_event()).data == path
            assert (await hub.post(fields(topic=f"/sse{PATH}/x"))).status == 400


async def test_streams_of_one_user_are_counted_with_all_others(broker: Broker) -> None:
    settings: dict[str, Any] = {"MERCURE_ANONYMOUS": "true", "MAX_CONNECTIONS_PER_USER": 2}
    with Node(broker.url, f"m{secrets.token_hex(5)}", MERCURE="true", **settings) as node:
        hub = HubClient(node.base)
        async with hub.stream({"topic": "a"}) as one, EventSource(node.base, "/v1/jobs/events", token=token()) as two:
            await one.opened()
            await two.opened()
            async with hub.stream({"topic": "a"}) as three:
                await three.wait_stopped()
                assert (three.status, three.events, three.comments) == (200, [], [" user_limit"])
            path = f"{PATH}?topic=a"
            answer = await hub.get(path, classic(), {"Accept": "*/*"})
            assert answer.status == 429
            assert "retry-after" in answer.headers
            async with hub.stream({"topic": "a"}, classic(sub="another")) as four:
                await four.opened()
                await hub.publish("a", "x")
                assert (await four.next_event()).data == "x"


async def test_rubbish_in_redis_is_removed_where_only_nodes_write(own_broker: Broker, prefix: str) -> None:
    keys = hub_keys(prefix)
    with Redis.from_url(own_broker.url) as redis:
        for key in (keys.log, keys.meta, keys.ids0, keys.ids1, keys.places, keys.nodes, keys.bridge):
            redis.set(key, "rubbish")
        with Node(own_broker.url, prefix, MERCURE="true", MERCURE_ANONYMOUS="true") as node:
            hub = HubClient(node.base)

            async def streams() -> bool:
                answer = await hub.get(f"{SUBSCRIPTIONS}", watcher())
                return answer.status == 200 and redis.type(keys.nodes) == b"zset"

            await until(streams, "the hub to have its keys")
            async with hub.stream({"topic": "a"}) as stream:
                await stream.opened()
                first = await hub.publish("a", "one")
                await hub.publish("a", "two")
                assert await heard(stream, "two") == ["one", "two"]
            async with hub.stream({"topic": "a"}, last_event_id=first) as stream:
                assert await heard(stream, "two") == ["two"]
            assert "Traceback" not in node.log
