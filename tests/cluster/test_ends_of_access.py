"""What ends a right ends the streams that were opened with it: on every node, in every dialect, by every credential."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import pytest

from publisher import Publisher
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until

JOB_STREAMS = [
    "/v1/jobs/j1/events",
    "/v1/events?channel=job:j1&channel=broadcast",
    "/api/v1/sse/jobs/character/j1",
    "/api/generation?sessionId=j1",
    "/api/v1/status/tasks/j1/stream",
    "/jobs/j1/stream",
]
OWN_STREAMS = ["/v1/jobs/events", "/api/v1/sse/jobs/my", "/v1/clients/ann/events", "/api/sse/subscribe/ann"]
CHANNELS = ["job:j1", "broadcast", "user:ann", "client:ann"]


@pytest.fixture
def pub(redis_url: str, prefix: str) -> Iterator[Publisher]:
    with Publisher.from_url(redis_url, prefix=prefix) as running:
        running.create_job("j1", kind="character", owner="ann")
        yield running


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def mint(node: Node, text: str, channels: list[str]) -> tuple[str, int]:
    """A ticket and when it expires."""
    body = json.dumps({"channels": channels}).encode()
    got = await request(node.base, "/v1/tickets", method="POST", headers=bearer(text), body=body)
    assert got.status == 200, got.body
    answer = json.loads(got.body)
    return answer["ticket"], answer["expires_at"]


async def send_away(node: Node, client_id: str, query: str = "") -> int:
    """How many streams there were."""
    headers = bearer(token("root", scope="admin"))
    got = await request(node.base, f"/v1/clients/{client_id}{query}", method="DELETE", headers=headers)
    assert got.status == 200
    return int(json.loads(got.body)["disconnected"])


def add(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


async def opened(stack: AsyncExitStack, *sources: EventSource) -> list[EventSource]:
    for source in sources:
        await stack.enter_async_context(source)
    for source in sources:
        await source.wait_for(lambda source=source: source.events or source.comments, "the greeting")  # type: ignore[misc]
    return list(sources)


async def test_whoever_is_sent_away_loses_every_stream_in_every_dialect_by_every_credential(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    """Also a stream that somebody else has of the client's channel. Nobody else loses anything."""
    first, second = start_node(QUERY_TOKENS="true", MAX_CONNECTIONS_PER_USER=0), start_node(MAX_CONNECTIONS_PER_USER=0)
    ann, admin = token("ann"), token("root", scope="admin")
    ticket, _ = await mint(second, ann, CHANNELS)
    others_ticket, _ = await mint(first, admin, ["client:ann", "broadcast"])
    async with AsyncExitStack() as stack:
        anns = await opened(
            stack,
            *[EventSource(first.base, path, token=ann) for path in JOB_STREAMS + OWN_STREAMS],
            *[EventSource(second.base, add(path, f"ticket={ticket}")) for path in JOB_STREAMS + OWN_STREAMS],
            EventSource(second.base, OWN_STREAMS[0], headers={"Cookie": f"sse_token={ann}"}),
            EventSource(first.base, add(OWN_STREAMS[0], f"access_token={ann}")),
            EventSource(second.base, OWN_STREAMS[2], token=admin),
            EventSource(first.base, add(OWN_STREAMS[2], f"ticket={others_ticket}")),
        )
        others = await opened(
            stack,
            EventSource(first.base, JOB_STREAMS[0], token=admin),
            EventSource(second.base, "/v1/events?channel=user:ann&channel=broadcast", token=admin),
            EventSource(second.base, "/v1/clients/bob/events", token=token("bob")),
        )
        assert await send_away(first, "ann") == len(anns)
        for source in anns:
            await source.wait_stopped()
            if source.path.startswith("/v1/"):
                assert source.events[-1].type == "stream.close", source.path
                assert source.events[-1].json()["reason"] == "disconnected"
        pub.update_job("j1", progress=5)
        pub.broadcast("still-here", 1)
        for source, kind in zip(others, ("job.progress", "still-here", "still-here"), strict=True):
            await source.next_of_type(kind)


async def test_a_revocation_refuses_what_was_issued_before_it_on_every_node_also_after_a_restart(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    """Tokens, and tickets made from them; newer ones are good."""
    nodes = [start_node(JWT_LEEWAY_S=2), start_node(JWT_LEEWAY_S=2)]
    old = token("ann", iat=int(time.time()) - 5, scope="admin publish")
    ticket, _ = await mint(nodes[0], old, CHANNELS)
    undated = token("ann", iat=None)
    await send_away(nodes[0], "ann", "?revoke=true")
    new = token("ann", iat=int(time.time()) + 3)  # beyond the leeway of the revocation, and soon within that of now
    ahead = token("ann", iat=int(time.time()))  # the issuer's clock may be a second ahead
    for _ in ("now", "after a restart"):
        for node in nodes:
            await until(lambda node=node: _refused(node, bearer(old)), "the order to arrive")  # type: ignore[misc]
            for headers in (bearer(undated), {"Cookie": f"sse_token={old}"}):
                assert await _refused(node, headers)
            for path in JOB_STREAMS + OWN_STREAMS:
                refused = await request(node.base, add(path, f"ticket={ticket}"))
                assert refused.status == 401, path
            assert (await request(node.base, "/v1/clients/x", method="DELETE", headers=bearer(old))).status == 401
            assert await _refused(node, bearer(ahead))
            await until(lambda node=node: _accepted(node, bearer(new)), "the new token to be good")  # type: ignore[misc]
            fresh, _ = await mint(node, new, ["job:j1"])
            async with EventSource(node.base, add(JOB_STREAMS[0], f"ticket={fresh}")) as source:
                await source.next_of_type("job.state")
        for node in nodes:
            node.kill()
            node.start()
            assert await _refused(node, bearer(old)), "from the first moment on"


async def _refused(node: Node, headers: dict[str, str]) -> bool:
    return (await request(node.base, "/v1/jobs", headers=headers)).status == 401


async def _accepted(node: Node, headers: dict[str, str]) -> bool:
    return not await _refused(node, headers)


async def test_streams_end_when_the_token_or_ticket_expires(pub: Publisher, start_node: Callable[..., Node]) -> None:
    """A ticket never outlives the token it was made from, and the leeway lengthens neither."""
    node = start_node(QUERY_TOKENS="true", MAX_CONNECTIONS_PER_USER=0)
    expires_at = int(time.time()) + 3
    short = token("ann", exp=expires_at)
    ticket, tickets_end = await mint(node, short, CHANNELS)
    assert tickets_end == expires_at
    async with AsyncExitStack() as stack:
        sources = await opened(
            stack,
            *[EventSource(node.base, path, token=short) for path in JOB_STREAMS + OWN_STREAMS],
            *[EventSource(node.base, add(path, f"ticket={ticket}")) for path in JOB_STREAMS + OWN_STREAMS],
            EventSource(node.base, OWN_STREAMS[0], headers={"Cookie": f"sse_token={short}"}),
            EventSource(node.base, add(OWN_STREAMS[0], f"token={short}")),
        )
        (lasting,) = await opened(stack, EventSource(node.base, JOB_STREAMS[0], token=token("ann")))
        for source in sources:
            await source.wait_stopped()
            assert time.time() >= expires_at - 1, source.path
            if source.path.startswith("/v1/"):
                closing = source.events[-1]
                assert closing.type == "stream.close", source.path
                assert (closing.json()["reason"], closing.json()["reconnect"]) == ("token_expired", False)
        assert not lasting.stopped.is_set()


async def test_a_browser_with_an_expired_ticket_stops_and_does_not_loop(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    node = start_node(RETRY_MS="10")
    ticket, _ = await mint(node, token("ann", exp=int(time.time()) + 2), CHANNELS)
    async with EventSource(node.base, add(JOB_STREAMS[0], f"ticket={ticket}"), reconnect=True) as source:
        await source.wait_stopped()
    statuses = [exchange.status for exchange in source.exchanges]
    assert statuses[-1] == 401
    assert set(statuses[:-1]) == {200}


async def test_a_ticket_survives_the_reconnects_of_a_browser_on_every_node(
    pub: Publisher, start_node: Callable[..., Node]
) -> None:
    nodes = [start_node(RETRY_MS="10"), start_node(RETRY_MS="10")]
    ticket, _ = await mint(nodes[0], token("ann"), CHANNELS)
    bases = [node.base for node in nodes]
    async with EventSource(bases, add(JOB_STREAMS[0], f"ticket={ticket}"), reconnect=True) as source:
        for number in range(4):
            await source.wait_for(lambda number=number: len(source.of_type("stream.open")) > number, "the stream")  # type: ignore[misc]
            pub.update_job("j1", progress=number + 1)
            await source.collect_until(lambda event: event.type == "job.progress")
            source.drop()
    seen = [event.json()["progress"] for event in source.of_type("job.progress")]
    assert seen == [1, 2, 3, 4]
