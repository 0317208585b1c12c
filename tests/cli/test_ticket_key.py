"""``sse-gateway ticket-key`` changes the secret of tickets under running nodes, and never shows it."""

from __future__ import annotations

import time

import pytest
import redis

from publisher import Publisher
from publisher.keys import old_ticket_key, ticket_key
from tests.http.api import Api
from tests.support.commands import run
from tests.support.node import Node
from tests.support.tokens import token
from tests.support.waiting import until

KEY, NEXT = "k" * 40, "n" * 40


async def ticket_of(node: Node, number: int = 0) -> str:
    """Another ``number``, another ticket: those of one second are alike, and a node remembers what it has verified."""
    headers = {"Authorization": f"Bearer {token('ann', iat=int(time.time()) - number)}"}
    minted = await Api(node.base).call("POST", "/v1/tickets", {"channels": ["job:j"]}, headers=headers)
    return str(minted.json["ticket"])


async def opens(node: Node, ticket: str) -> bool:
    status = (await Api(node.base).call("GET", f"/v1/jobs/j?ticket={ticket}")).status
    assert status in (200, 401)
    return status == 200


async def test_running_nodes_take_the_new_secret_and_the_old_one_until_it_is_refused(
    redis_url: str, prefix: str
) -> None:
    settings = {"REDIS_URL": redis_url, "REDIS_PREFIX": prefix}
    with (
        Node(redis_url, prefix) as a,
        Node(redis_url, prefix) as b,
        Publisher.from_url(redis_url, prefix=prefix) as pub,
    ):
        pub.create_job("j", kind="k", owner="ann")
        older = [await ticket_of(a) for _ in range(2)]
        rotated = run("ticket-key", "rotate", **settings)
        assert (rotated.returncode, rotated.stderr) == (0, "")
        assert "are accepted for another 91" in rotated.stdout
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            present, old = client.mget(ticket_key(prefix), old_ticket_key(prefix))
        assert isinstance(present, str) and isinstance(old, str)

        for ticket in older:
            assert await opens(a, ticket) and await opens(b, ticket)
        # Fresh ones may be of either secret for a second: each is good everywhere at once.
        fresh = await ticket_of(a)
        assert await opens(b, fresh)

        again = run("ticket-key", "rotate", **settings)
        assert again.returncode == 1 and "--now" in again.stderr

        unseen = [
            await ticket_of(a, number) for number in range(200)
        ]  # one for each look, and a node may look for a second
        now = run("ticket-key", "rotate", "--now", **settings)
        assert now.returncode == 0 and "accepted" not in now.stdout

        async def refused() -> bool:
            return not await opens(b, unseen.pop())

        await until(refused, "tickets of the old secret to be refused")
        assert await opens(b, await ticket_of(b))
        shown = run("ticket-key", "show", **settings)
        assert shown.stdout == now.stdout
        for secret in (present, old):
            assert secret not in rotated.stdout + again.stderr + now.stdout + a.log + b.log


async def test_a_fixed_secret_is_changed_node_by_node(redis_url: str, prefix: str) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        pub.create_job("j", kind="k", owner="ann")
    with (
        Node(redis_url, prefix, TICKET_KEY=KEY, TICKET_KEY_OTHER=NEXT) as waiting,
        Node(redis_url, prefix, TICKET_KEY=NEXT, TICKET_KEY_OTHER=KEY) as changed,
        Node(redis_url, prefix, TICKET_KEY=NEXT) as done,
    ):
        old, new = await ticket_of(waiting), await ticket_of(changed)
        assert await opens(changed, old) and await opens(waiting, new) and await opens(done, new)
        assert not await opens(done, old)


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (["rotate"], {"TICKET_KEY": KEY}, "GATEWAY_TICKET_KEY is set"),
        (["show", "--now"], {}, "--now goes with rotate"),
        (["change"], {}, "invalid choice"),
        (
            ["show"],
            {"REDIS_URL": "redis://127.0.0.1:1/0"},
            "Redis at 127.0.0.1:1: nothing listens there (connection refused). Start the server",
        ),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    arguments: list[str], settings: dict[str, str], sentence: str
) -> None:
    done = run("ticket-key", *arguments, **settings)
    assert done.returncode in (1, 2) and done.stdout == ""
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1
