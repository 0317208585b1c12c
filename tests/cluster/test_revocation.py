"""Sending a client away works on every node, also on streams that are only about to open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from publisher import AsyncPublisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until


def _admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {token('root', scope='admin')}"}


async def send_away(node: Node, client_id: str, query: str = "") -> bytes:
    exchange = await request(node.base, f"/v1/clients/{client_id}{query}", method="DELETE", headers=_admin())
    assert exchange.status == 200
    return exchange.body


async def test_every_stream_of_a_client_ends_on_every_node(start_node: Callable[..., Node]) -> None:
    first, second = start_node(), start_node()
    async with (
        EventSource(first.base, "/v1/clients/ann/events", token=token("ann")) as own,
        EventSource(second.base, "/v1/jobs/events", token=token("ann")) as jobs,
        EventSource(second.base, "/v1/clients/ann/events", token=token("root", scope="admin")) as watched,
        EventSource(second.base, "/v1/clients/bob/events", token=token("bob")) as other,
    ):
        streams = (own, jobs, watched, other)
        for stream in streams:
            await stream.next_of_type("stream.open")
        assert b'"disconnected":3' in await send_away(first, "ann")
        for stream in (own, jobs, watched):
            closing = await stream.next_of_type("stream.close")
            assert '"disconnected"' in closing.data
        assert not other.of_type("stream.close")


async def test_a_stream_that_is_about_to_open_does_not_escape_a_revocation(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    """It waits for its job when the order comes, and is refused when the job is there."""
    node, other = start_node(JOB_WAIT_S=30), start_node()
    headers = {"Authorization": f"Bearer {token('ann')}"}
    opening = asyncio.create_task(request(node.base, "/v1/jobs/j1/events", headers=headers))

    async def is_waiting() -> bool:
        stats = await request(other.base, "/v1/stats", headers=_admin())
        return b'"connections":1' in stats.body

    await until(is_waiting, "the stream to wait for its job")
    await send_away(other, "ann", "?revoke=true")

    async def is_refused() -> bool:
        return (await request(node.base, "/v1/jobs", headers=headers)).status == 401

    await until(is_refused, "the order to arrive")
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher:
        await publisher.create_job("j1", kind="k", owner="ann")
        assert (await opening).status == 401


@pytest.mark.parametrize("sent_away", ["ann", "bob"])
async def test_a_stream_that_is_about_to_open_ends_as_soon_as_it_is_one(
    start_node: Callable[..., Node], redis_url: str, prefix: str, sent_away: str
) -> None:
    """Without a revocation its token stays good, and the order is older than the stream; but not than its request."""
    node, other = start_node(JOB_WAIT_S=30), start_node()
    async with (
        AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher,
        EventSource(node.base, "/v1/jobs/j1/events", token=token("ann")) as opening,
        EventSource(node.base, "/v1/clients/ann/events", token=token("ann")) as beside,
    ):
        await beside.next_of_type("stream.open")

        async def is_waiting() -> bool:
            stats = await request(other.base, "/v1/stats", headers=_admin())
            return b'"connections":2' in stats.body

        await until(is_waiting, "the stream to wait for its job")
        await send_away(node, sent_away)
        await publisher.create_job("j1", kind="k", owner="ann")
        if sent_away == "ann":
            assert (await opening.next_of_type("stream.close")).json()["reason"] == "disconnected"
            assert not opening.of_type("job.state")
        else:
            await opening.next_of_type("job.state")


async def test_the_limit_of_a_user_holds_over_nodes_and_a_closed_stream_frees_its_place(
    start_node: Callable[..., Node],
) -> None:
    first, second = start_node(MAX_CONNECTIONS_PER_USER=2), start_node(MAX_CONNECTIONS_PER_USER=2)
    path, headers = "/v1/clients/ann/events", {"Authorization": f"Bearer {token('ann')}"}
    async with EventSource(first.base, path, token=token("ann")) as one:
        await one.next_of_type("stream.open")
        async with EventSource(second.base, path, token=token("ann")) as two:
            await two.next_of_type("stream.open")
            for node in (first, second):
                refused = await request(node.base, path, headers=headers)
                assert refused.status == 429
        for _ in range(10):  # where it was closed the place is free at once
            async with EventSource(second.base, path, token=token("ann")) as again:
                await again.next_of_type("stream.open")


async def test_the_places_of_a_killed_node_are_free_within_its_lease(start_node: Callable[..., Node]) -> None:
    first, second = start_node(MAX_CONNECTIONS_PER_USER=1), start_node(MAX_CONNECTIONS_PER_USER=1)
    path, headers = "/v1/clients/ann/events", {"Authorization": f"Bearer {token('ann')}"}
    async with EventSource(first.base, path, token=token("ann")) as stream:
        await stream.next_of_type("stream.open")
        assert (await request(second.base, path, headers=headers)).status == 429
        first.kill()

        async def is_gone() -> bool:
            stats = await request(second.base, "/v1/stats", headers=_admin())
            return b'"connections":0' in stats.body and stats.body.count(b'"id"') == 1

        await until(is_gone, "the lease to end")
