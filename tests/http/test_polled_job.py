"""A job at a provider that can only be asked, watched by many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from publisher import AsyncPublisher, Job
from publisher.polling import Poll, Poller
from tests.support.eventsource import EventSource
from tests.support.node import Node

VIEWERS = 200


async def test_two_hundred_viewers_of_a_job_cost_one_question_per_interval(
    start_node: Callable[..., Node], redis_url: str, prefix: str
) -> None:
    """The provider says something new each time it is asked, and every viewer gets each of its words once."""
    node = start_node(ANONYMOUS="read", MAX_CONNECTIONS_PER_USER=VIEWERS, CONNECT_RATE_PER_S=0)
    percents = (10, 20, 30, 40)
    asked = 0
    watched = asyncio.Event()

    async def fetch(job: Job) -> Poll:
        nonlocal asked
        await watched.wait()
        asked += 1
        return Poll("active", progress=percents[asked - 1]) if asked <= len(percents) else Poll("completed")

    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as publisher, AsyncExitStack() as stack:
        pollers = [Poller(publisher, fetch, interval_s=0.1) for _ in range(3)]
        await pollers[0].watch("j1", kind="k")
        running = [asyncio.create_task(poller.run()) for poller in pollers]
        streams = [
            await stack.enter_async_context(EventSource(node.base, "/v1/jobs/j1/events")) for _ in range(VIEWERS)
        ]
        for stream in streams:
            await stream.next_of_type("job.state")
        watched.set()
        for stream in streams:
            events = await stream.collect_until(lambda event: event.type == "job.completed")
            assert [event.json()["progress"] for event in events if event.type == "job.progress"] == [*percents]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert asked == len(percents) + 1
