"""What long answers cost a node in memory when their viewers have gone."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from publisher import Publisher
from tests.support.meter import Meter
from tests.support.node import Node
from tests.support.raw_peer import RawPeer, stream_request
from tests.support.waiting import until

MIB = 1024 * 1024
VIEWERS = 30
LENGTH = 1_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, whose allocator is told what to keep")
async def test_the_states_of_viewers_who_have_gone_are_given_back(
    redis_url: str, prefix: str, start_node: Callable[..., Node]
) -> None:
    """Crowds that read nothing of a long answer come and go; what they were to get does not stay."""
    node = start_node(MAX_CONNECTIONS_PER_USER=0, CONNECT_RATE_PER_S=0, WRITE_TIMEOUT_S=300)
    meter = Meter(node)
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.answer("c", owner="ann") as answer:
        answer.text("x" * LENGTH)

        async def is_kept() -> bool:
            job = pub.get_job(answer.job_id)
            return job is not None and len(job.text or "") == LENGTH

        await until(is_kept, "the answer to be kept")
        before = meter.memory()
        for _ in range(3):
            async with AsyncExitStack() as stack:
                for _ in range(VIEWERS):
                    ask = RawPeer.ask(node.base, stream_request("/v1/chats/c/events"), receive_buffer=4096)
                    await stack.enter_async_context(await ask)
                await meter.wait_for("connections", VIEWERS)
                assert meter.memory() - before > 15 * MIB  # they are held
            await meter.wait_for("connections", 0)
        assert meter.memory() - before < 15 * MIB
