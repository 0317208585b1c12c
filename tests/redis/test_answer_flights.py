"""Pieces of many answers whose moment has come travel together, and none pays for what befalls another."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis import Redis

from publisher import AsyncPublisher, BufferFull, PublisherError
from publisher.asyncio.answer_handle import AsyncAnswerHandle
from publisher.asyncio.flights import take_off
from publisher.core.answer_flows import write
from publisher.core.answer_step import AnswerStep
from publisher.core.options import Options
from publisher.core.perform import Effects
from publisher.core.pieces import TEXT, text_piece
from tests.support.answers import pieces
from tests.support.publishers import Reader
from tests.support.waiting import until

MANY = 40


@contextlib.asynccontextmanager
async def writing(url: str, prefix: str) -> AsyncIterator[tuple[AsyncPublisher, list[AsyncAnswerHandle]]]:
    """Many answers of which each has said its first word, so that the next ones wait for one moment."""
    async with AsyncPublisher.from_url(url, prefix=prefix) as pub, contextlib.AsyncExitStack() as stack:
        opening = [pub.answer("c", owner=f"u{n}", job_id=f"j{n}") for n in range(MANY)]
        answers = await asyncio.gather(*map(stack.enter_async_context, opening))
        await say(answers, "one ")
        yield pub, answers


async def say(answers: list[AsyncAnswerHandle], words: str) -> None:
    await asyncio.gather(*[answer.text(words) for answer in answers])


async def texts(pub: AsyncPublisher) -> set[str | None]:
    jobs = await asyncio.gather(*[pub.get_job(f"j{n}") for n in range(MANY)])
    return {job.text if job else None for job in jobs}


async def test_what_redis_loses_while_they_wait_is_written_again(own_broker: Any, prefix: str) -> None:
    """Each goes on alone from where it finds more to do than to append."""
    async with writing(own_broker.url, prefix) as (pub, answers):
        with Redis.from_url(own_broker.url) as redis:
            await say(answers, "two ")
            redis.flushall()

            async def there() -> bool:
                return await texts(pub) == {"one two "}

            await until(there, "what was lost")
            await say(answers, "three ")
            await say(answers, "four ")
            own_broker.stop()
            await asyncio.gather(*[answer.progress(50) for answer in answers[::2]])
            own_broker.start()
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        assert await texts(pub) == {"one two three four "}


async def test_who_is_in_the_middle_of_something_sends_afterwards(redis_url: str, prefix: str) -> None:
    async with writing(redis_url, prefix) as (pub, answers):
        await say(answers, "two ")
        async with answers[0]._turn():

            async def there() -> bool:
                return await texts(pub) == {"one ", "one two "}

            await until(there, "those of the others")
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        assert await texts(pub) == {"one two "}


@contextlib.asynccontextmanager
async def paused(broker: Any, begun: Callable[[], object]) -> AsyncIterator[None]:
    """Redis holds back what ``begun`` has sent until the end."""
    with Redis.from_url(broker.url) as redis:
        redis.execute_command("CLIENT PAUSE", 600_000, "WRITE")
        begun()

        async def blocked() -> bool:
            return bool(redis.info("clients")["blocked_clients"])

        await until(blocked, "something to be under way")
        yield
        redis.execute_command("CLIENT UNPAUSE")


async def arrives(pub: AsyncPublisher, text: str) -> None:
    async def there() -> bool:
        job = await pub.get_job("j")
        return job is not None and job.text == text

    await until(there, f"all that was said: {text!r}")


async def test_a_writer_that_is_cancelled_while_it_waits_holds_nothing_up(own_broker: Any, prefix: str) -> None:
    """Behind another report of the answer."""
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        answer = await pub.answer("c", owner="ann", job_id="j")
        tasks: list[asyncio.Task[None]] = []
        async with paused(own_broker, lambda: tasks.append(asyncio.create_task(answer.emit("x", {})))):
            saying = asyncio.create_task(answer.text("one "))
            await until(lambda: answer._writer.waits, "the piece to be taken")
            saying.cancel()
            await asyncio.wait([saying])
        await asyncio.wait(tasks)
        await answer.text("two ")
        await arrives(pub, "one two ")


async def test_a_writer_that_is_cancelled_with_its_piece_under_way_leaves_the_next_a_timer(
    own_broker: Any, prefix: str
) -> None:
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        answer = await pub.answer("c", owner="ann", job_id="j")
        tasks: list[asyncio.Task[None]] = []
        async with paused(own_broker, lambda: tasks.append(asyncio.create_task(answer.text("one ")))):
            await answer.text("two ")
            tasks[0].cancel()
            await asyncio.wait(tasks)
        await arrives(pub, "one two ")
        await answer.text("three ")
        await arrives(pub, "one two three ")


async def test_a_call_from_another_loop_harms_nothing(redis_url: str, prefix: str) -> None:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        answer = await pub.answer("c", owner="ann", job_id="j")
        await answer.text("one ")
        with pytest.raises(PublisherError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(answer.text("none ")))
        await answer.text("two ")
        await arrives(pub, "one two ")


async def test_pieces_go_on_after_a_full_buffer(own_broker: Any, prefix: str) -> None:
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix, buffer_events=2) as pub:
        answer = await pub.answer("c", owner="ann", job_id="j")
        own_broker.stop()
        taken = ""
        for n in range(10_000):
            try:
                await answer.text(f"{n} ")
                taken += f"{n} "
                await answer.emit("x", {})
            except BufferFull:
                break
        own_broker.start()
        with contextlib.suppress(BufferFull):
            await answer.text("last ")
            taken += "last "
        await arrives(pub, taken)


async def test_a_publisher_that_closes_brings_all_that_was_said(own_broker: Any, prefix: str) -> None:
    """Also what is under way for a caller, and what waits behind it."""
    pub = AsyncPublisher.from_url(own_broker.url, prefix=prefix)
    answer = await pub.answer("c", owner="ann", job_id="j")
    tasks: list[asyncio.Task[None]] = []
    async with paused(own_broker, lambda: tasks.append(asyncio.create_task(answer.text("one ")))):
        await answer.text("two ")
        closing = asyncio.create_task(pub.close())
        await asyncio.sleep(0)
    await closing
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as other:
        job = await other.get_job("j")
    assert job is not None and job.text == "one two "
    await asyncio.wait(tasks)


def test_a_loop_that_ends_during_a_flight_leaves_no_traceback(own_broker: Any, prefix: str) -> None:
    code = (
        "import asyncio, redis\n"
        "from publisher import AsyncPublisher\n"
        "async def main():\n"
        f"    pub = AsyncPublisher.from_url({own_broker.url!r}, prefix={prefix!r})\n"
        "    answer = await pub.answer('c', owner='ann', job_id='j')\n"
        "    answer._slow = True\n"
        f"    control = redis.Redis.from_url({own_broker.url!r})\n"
        "    control.execute_command('CLIENT PAUSE', 600000, 'WRITE')\n"
        "    await answer.text('one ')\n"
        "    while not control.info('clients')['blocked_clients']:\n"
        "        await asyncio.sleep(0)\n"
        "    control.close()\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


async def test_what_comes_during_a_flight_waits_for_its_own_moment(own_broker: Any, prefix: str) -> None:
    """Else there would be an event for each round trip, and the busier Redis is the more of them."""
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        async with pub.answer("c", owner="ann", job_id="j") as answer:
            with Redis.from_url(own_broker.url) as redis:
                redis.execute_command("CLIENT PAUSE", 600_000, "WRITE")
                first = asyncio.create_task(answer.text("one "))

                async def blocked() -> bool:
                    return bool(redis.info("clients")["blocked_clients"])

                await until(blocked, "the first piece to be under way")
                answer._writer.open_at += 600
                await answer.text("two ")
                await answer.text("three ")
                redis.execute_command("CLIENT UNPAUSE")
                await first
                assert (await pub.get_job("j")).text == "one "  # type: ignore[union-attr]
                assert answer._writer.waits
        assert (await pub.get_job("j")).text == "one two three "  # type: ignore[union-attr]
    with contextlib.closing(Reader(own_broker.url, prefix)) as reader:
        assert len(pieces(reader, "j")) == 2


async def test_a_flight_that_is_broken_off_loses_nothing(own_broker: Any, prefix: str) -> None:
    """What was under way waits for its next try: it may have arrived or not."""
    async with writing(own_broker.url, prefix) as (_, answers):
        with Redis.from_url(own_broker.url) as redis:
            redis.execute_command("CLIENT PAUSE", 600_000, "WRITE")
            await say(answers, "two ")

            async def blocked() -> bool:
                return bool(redis.info("clients")["blocked_clients"])

            await until(blocked, "the pieces to be under way")
            flights = [task for task in asyncio.all_tasks() if task.get_name() == "sse-publisher-waiting"]
            for flight in flights:
                flight.cancel()
            await asyncio.wait(flights)
            redis.execute_command("CLIENT UNPAUSE")
            await say(answers, "three ")
    async with AsyncPublisher.from_url(own_broker.url, prefix=prefix) as pub:
        assert await texts(pub) == {"one two three "}


class Broken:
    """A handle with a fault, before it asks for anything or in what it makes of the reply."""

    waits = True

    def __init__(self, asks: Effects[Any] | None) -> None:
        self.lock = asyncio.Lock()
        self._asks = asks

    def turn(self) -> asyncio.Lock:
        return self.lock

    def flight(self) -> Effects[None]:
        if self._asks is not None:
            yield next(self._asks)
        raise RuntimeError("a fault")

    async def fly(self) -> None:
        raise AssertionError("not alone")

    bring_all = fly


async def test_a_fault_of_one_harms_none_of_the_others(redis_url: str, prefix: str) -> None:
    found: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: found.append(str(context["exception"])))
    async with writing(redis_url, prefix) as (pub, answers):
        sender, piece = pub._sender, text_piece(TEXT, "word")
        assert piece is not None
        await say(answers, "two ")
        broken = [Broken(None), Broken(write(Options(prefix), None, AnswerStep("nobody's", [piece])))]
        flying = [answer._gathering for answer in answers]
        await take_off([broken[0], *flying, broken[1]], sender._lane, sender._perform)
        assert [each.lock.locked() for each in broken] == [False, False]
        assert found == ["a fault", "a fault"]
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        assert await texts(pub) == {"one two "}
