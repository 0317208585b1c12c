"""Answers: text that arrives in pieces, written by both publishers and read out of Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
from redis import Redis

from publisher import (
    AnswerTooLong,
    AsyncPublisher,
    BufferFull,
    EventTooLarge,
    JobCancelled,
    JobExists,
    JobFinished,
    Publisher,
)
from publisher.blocking.transport import RedisTransport
from publisher.core import steps
from publisher.core.answer_step import AnswerStep, WrittenAnswer
from publisher.core.bundles import MAX_EVENTS
from publisher.core.options import Options
from publisher.core.pieces import TEXT, text_piece
from publisher.keys import answer_key, channel_keys, chat_key
from publisher.testing import AsyncRecordingPublisher, RecordingPublisher
from tests.support.answers import message, pieces
from tests.support.publishers import FACES, Reader, done, side_by_side, within
from tests.support.waiting import until

MIB = 1024 * 1024


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


async def begun(handle: Any) -> Any:
    """A handle that is not in a ``with`` block."""
    return await handle if hasattr(handle, "__await__") else handle


async def test_pieces_become_events_and_the_state_holds_the_whole(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("chat-7", owner="ann", meta={"model": "m"})) as answer:
            await done(answer.reasoning("Hm, "))
            await done(answer.reasoning("so."))
            await done(answer.text("Hel"))
            await done(answer.text(""))
            await done(answer.text("lo ✨"))
            await done(answer.part({"type": "data-weather", "data": {"c": 21}}))
            await done(answer.text("Bye"))
        job = await done(pub.get_job(answer.job_id))
    whole = [
        {"type": "reasoning", "text": "Hm, so."},
        {"type": "text", "text": "Hello ✨"},
        {"type": "data-weather", "data": {"c": 21}},
        {"type": "text", "text": "Bye"},
    ]
    assert (job.status, job.kind, job.owner, job.chat) == ("completed", "answer", "ann", "chat-7")
    assert (job.text, job.parts) == ("Hello ✨Bye", whole)
    told = pieces(reader, answer.job_id)
    assert message(told) == whole
    assert told[0] == ("job.part", {"job_id": answer.job_id, "part": {"type": "reasoning", "text": "Hm, "}, "index": 0})
    assert told[-1] == ("job.text", {"job_id": answer.job_id, "text": "Bye", "offset": 7})
    assert "job.text" not in reader.types("user:ann")
    assert reader.types("user:ann") == ["job.created", "job.started", "job.completed"]


async def test_what_comes_within_a_moment_is_one_event(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("first"))
            assert [data["text"] for _, data in pieces(reader, "j")] == ["first"]
            for n in range(200):
                await done(answer.text(f" {n}"))
    told = pieces(reader, "j")
    assert "".join(data["text"] for _, data in told) == "first" + "".join(f" {n}" for n in range(200))
    assert len(told) < 50


async def test_the_last_piece_goes_out_although_no_other_follows(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        answer = await begun(pub.answer("c", owner="ann", job_id="j"))
        await done(answer.text("a"))
        await done(answer.text("b"))
        await done(answer.part({"type": "start-step"}))
        await until(lambda: len(pieces(reader, "j")) == 3, "the pieces that waited")
        await done(answer.complete())


async def test_other_reports_keep_their_place_among_the_pieces(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("a"))
            await done(answer.text("b"))
            await done(answer.progress(50))
            await done(answer.text("c"))
            await done(answer.log("still here"))
            await done(answer.text("d"))
    told = reader.types("job:j")[2:]
    assert told == ["job.text", "job.text", "job.progress", "job.text", "job.log", "job.text", "job.completed"]


def test_a_million_pieces_of_one_character_are_few_events(
    unmeasured: None, redis_url: str, prefix: str, reader: Reader
) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        with pub.answer("c", owner="ann", job_id="j") as answer:
            text = answer.text
            for _ in range(1_000_000):
                text("a")
        job = pub.get_job("j")
    assert job is not None and job.text == "a" * 1_000_000
    assert int(reader.client.hget(channel_keys(prefix, "job:j").meta, "seq")) < 5_000


async def test_a_piece_larger_than_an_event_is_split(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    words = "ü\n€✨" * 5_000
    async with within(face.from_url(redis_url, prefix=prefix, max_event_bytes=4096)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text(words))
            with pytest.raises(EventTooLarge):
                await done(answer.part({"type": "data-x", "data": "x" * 5000}))
    assert all(len(event.data) <= 4096 for event in reader.log("job:j"))
    assert message(pieces(reader, "j")) == [{"type": "text", "text": words}]


async def test_an_answer_ends_at_a_mebibyte_and_keeps_what_is_there(face: Any, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("ü" * (MIB // 2 - 1)))
            with pytest.raises(AnswerTooLong, match="1048576"):
                await done(answer.reasoning("abc"))
            await done(answer.text("zz"))
            with pytest.raises(AnswerTooLong):
                await done(answer.text("z"))
        job = await done(pub.get_job("j"))
    assert job.text == "ü" * (MIB // 2 - 1) + "zz"


WRONG: dict[str, Any] = {
    "half a character": "\ud83d",
    "no text": 5,
    "bytes": b"x",
    "nothing": None,
}


@pytest.mark.parametrize("wrong", list(WRONG.values()), ids=list(WRONG))
async def test_text_that_is_none_is_refused_and_nothing_is_lost(
    face: Any, wrong: Any, redis_url: str, prefix: str
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("before\r\n\u2028\x00"))
            await done(answer.text(" kept"))
            with pytest.raises(ValueError, match="text"):
                await done(answer.text(wrong))
            with pytest.raises(ValueError, match="text"):
                await done(answer.reasoning(wrong))
        job = await done(pub.get_job("j"))
    assert job.text == "before\r\n\u2028\x00 kept"


async def test_a_newer_answer_takes_the_older_ones_place(
    face: Any, redis_url: str, prefix: str, reader: Reader
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        older = await begun(pub.answer("chat-7", owner="ann"))
        other = await begun(pub.answer("chat-7", owner="bob"))
        await done(older.text("I was"))
        newer = await done(pub.create_answer("chat-7", owner="ann"))
        replaced = await done(pub.get_job(older.job_id))
        assert (replaced.status, replaced.error["code"], replaced.text) == ("cancelled", "superseded", "I was")

        async def goes_on() -> bool:
            try:
                await done(older.text("!"))
            except JobCancelled:
                return True
            return False

        await until(goes_on, "the worker to hear of it")
        assert (await done(pub.get_job(newer))).status == "pending"
        async with within(pub.answer("chat-7", owner="ann", job_id=newer)) as answer:
            await done(answer.text("I am"))
        await done(other.complete())
        assert (await done(pub.get_job(newer))).status == "completed"
        assert (await done(pub.get_job(other.job_id))).status == "completed"
    last = orjson.loads(reader.log(f"job:{older.job_id}")[-1].data)
    assert last["error"]["code"] == "superseded"
    assert b"!" not in b"".join(event.data for event in reader.log(f"job:{older.job_id}"))


async def test_a_cancel_of_the_same_publishers_is_known_at_once(face: Any, redis_url: str, prefix: str) -> None:
    """Also where the next piece would have been gathered."""
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        cancels: list[Any] = [
            lambda: pub.cancel_job("j0"),
            lambda: pub.create_answer("c", owner="ann", job_id="other"),
            lambda: begun(pub.answer("c", owner="ann", job_id="third")),
        ]
        for n, cancel in enumerate(cancels):
            answer = await begun(pub.answer("c", owner="ann", job_id=f"j{n}"))
            await done(answer.text("a"))
            await done(cancel())
            for call in (answer.text, answer.reasoning):
                with pytest.raises(JobCancelled):
                    await done(call("b"))
            with pytest.raises(JobCancelled):
                await done(answer.part({"type": "start-step"}))
            with pytest.raises(JobCancelled):
                await done(answer.stream(["b"]))


async def test_of_many_answers_at_once_one_is_left(face: Any, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        ids = [f"j{n}" for n in range(8)]
        if face is Publisher:
            calls = [lambda job_id=job_id: pub.create_answer("c", owner="ann", job_id=job_id) for job_id in ids]
            await side_by_side(*calls)
        else:
            for job_id in ids:
                await pub.create_answer("c", owner="ann", job_id=job_id)
        jobs = [await done(pub.get_job(job_id)) for job_id in ids]
    assert sorted(job.status for job in jobs) == ["cancelled"] * 7 + ["pending"]


async def test_a_chat_remembers_its_newest_answers_only(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        for n in range(40):
            await done(pub.create_answer("c", owner="ann", job_id=f"j{n}"))
    key = chat_key(prefix, "user:ann", "c")
    assert reader.client.zrange(key, 0, -1) == [b"j%d" % n for n in range(8, 40)]
    assert reader.client.ttl(key) > 86_400


@pytest.mark.parametrize("lease_s", [30, None])
async def test_an_answer_has_one_writer(face: Any, redis_url: str, prefix: str, lease_s: float | None) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j", lease_s=lease_s)) as answer:
            await done(answer.text("mine"))
            with pytest.raises(JobExists, match="another worker"):
                await begun(pub.answer("c", owner="ann", job_id="j"))
            with pytest.raises(JobExists):
                await done(pub.update_job("j", text="theirs"))
            with pytest.raises(JobExists, match="no answer of this chat"):
                await begun(pub.answer("d", owner="ann", job_id="j"))
            with pytest.raises(JobExists, match="another owner"):
                await begun(pub.answer("c", owner="bob", job_id="j"))
        assert (await done(pub.get_job("j"))).text == "mine"
        with pytest.raises(JobFinished):
            await begun(pub.answer("c", owner="ann", job_id="j"))


async def test_a_job_that_is_given_in_no_chat_is_taken_up_in_none(face: Any, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        await done(pub.create_job("j", kind="answer", owner="ann"))
        for chat in ("c", "d"):
            with pytest.raises(JobExists, match="no answer of this chat"):
                await done(pub.create_answer(chat, owner="ann", job_id="j"))
            with pytest.raises(JobExists, match="no answer of this chat"):
                await begun(pub.answer(chat, owner="ann", job_id="j"))
        assert (await done(pub.get_job("j"))).status == "pending"


async def test_the_worker_that_lost_its_hold_is_refused(face: Any, redis_url: str, prefix: str) -> None:
    """Its queue ran the task again: two texts in one would be nobody's."""
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        first = await begun(pub.answer("c", owner="ann", job_id="j", on_worker_lost="wait"))
        await done(first.text("so far"))
        await done(first.part({"type": "tool-input-available", "toolCallId": "t", "toolName": "n", "input": 1}))
        await done(first.retrying("the machine goes down"))
        second = await begun(pub.answer("c", owner="ann", job_id="j"))
        assert second.attempt == 2
        await done(second.part({"type": "tool-output-available", "toolCallId": "t", "output": 2}))
        with pytest.raises(ValueError, match="has not begun"):
            await done(second.part({"type": "tool-output-available", "toolCallId": "u", "output": 2}))
        await done(second.text(", and on"))
        async with within(face.from_url(redis_url, prefix=prefix)) as other:
            with pytest.raises(JobExists):
                await begun(other.answer("c", owner="ann", job_id="j"))
        await done(second.complete())
        assert (await done(pub.get_job("j"))).text == "so far, and on"


@pytest.mark.parametrize("lease_s", [30, None])
async def test_somebody_without_a_hold_goes_on_where_the_worker_left(
    face: Any, redis_url: str, prefix: str, lease_s: float | None
) -> None:
    """The worker itself is refused from then on."""
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        first = await begun(pub.answer("c", owner="ann", job_id="j", lease_s=lease_s))
        await done(first.text("so far"))
        await done(first.retrying("the machine goes down"))
        await done(pub.update_job("j", text=", and on"))
        await done(pub.update_job("j", text=" to the end", status="completed"))
        assert (await done(pub.get_job("j"))).text == "so far, and on to the end"


async def test_text_that_redis_lost_is_written_again(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    """A failover takes the newest writes with it; the worker notices by how much is there."""
    state, body = channel_keys(prefix, "job:j").state, answer_key(prefix, "job:j")
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("one "))
            old, said = reader.client.hgetall(state), reader.client.get(body)
            for words in ("two ", "three "):
                await done(answer.progress(1))
                await done(answer.text(words))
            await done(answer.progress(2))
            reader.client.delete(state)
            reader.client.hset(state, mapping=old)
            reader.client.set(body, said)
            await done(answer.text("four"))
            await done(answer.progress(3))
            reader.client.delete(body)  # evicted
            await done(answer.text(" five"))
        job = await done(pub.get_job("j"))
    assert job.text == "one two three four five"


@pytest.mark.parametrize("end", ["complete", "fail", "retrying"])
@pytest.mark.parametrize("kept", [0, 1], ids=["all of it", "its tail"])
async def test_what_redis_lost_since_the_last_piece_is_there_at_the_end(
    face: Any, own_broker: Any, prefix: str, end: str, kept: int
) -> None:
    """No piece follows that would find it missing."""
    reader = Reader(own_broker.url, prefix)
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        answer = await begun(pub.answer("c", owner="ann", job_id="j"))
        await done(answer.text("one "))
        await done(answer.progress(1))
        saved = {key: reader.client.dump(key) for key in reader.client.scan_iter()}
        await done(answer.text("two "))
        await done(answer.part({"type": "data-x", "data": 1}))
        await done(answer.progress(2))
        reader.client.flushall()
        for key, value in saved.items() if kept else ():
            reader.client.restore(key, 0, value)
        await done(getattr(answer, end)(*([] if end == "complete" else ["the reason"])))
        job = await done(pub.get_job("j"))
    assert job.text == "one two "
    assert job.parts == [{"type": "text", "text": "one two "}, {"type": "data-x", "data": 1}]
    assert job.status == {"complete": "completed", "fail": "failed", "retrying": "pending"}[end]
    reader.close()


async def test_the_words_of_another_worker_are_gone_and_its_own_are_not(
    face: Any, own_broker: Any, prefix: str
) -> None:
    """What Redis lost of an earlier attempt nobody can write again; what this one said is there, and goes on."""
    reader = Reader(own_broker.url, prefix)
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        first = await begun(pub.answer("c", owner="ann", job_id="j"))
        await done(first.text("lost "))
        await done(first.retrying("busy"))
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("one "))
            await done(answer.progress(1))
            reader.client.flushall()
            await done(answer.text("two "))
            await done(answer.progress(2))
            assert (await done(pub.get_job("j"))).text == "one two "
            reader.client.flushall()
        job = await done(pub.get_job("j"))
    assert (job.status, job.text) == ("completed", "one two ")
    reader.close()


async def test_an_evicted_text_ends_its_history_too(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    """What is written again would be new words to a reader of it."""
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            for words in ("one ", "two "):
                await done(answer.text(words))
                await done(answer.progress(1))
            before = reader.log("job:j")[-1].epoch
            reader.client.delete(answer_key(prefix, "job:j"))
            await done(answer.text("three "))
        job = await done(pub.get_job("j"))
    assert {event.epoch for event in reader.log("job:j")}.isdisjoint({before})
    assert message(pieces(reader, "j")) == job.parts == [{"type": "text", "text": "one two three "}]


async def test_a_job_that_is_made_anew_has_no_old_text(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("one "))
            await done(answer.progress(1))
            reader.client.delete(channel_keys(prefix, "job:j").state)
            await done(answer.progress(2))
            assert (await done(pub.get_job("j"))).text == ""
        assert (await done(pub.get_job("j"))).text == "one "


async def test_a_call_that_raised_has_begun_no_tool(face: Any, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("x" * (MIB - 10)))
            begins = {"type": "tool-input-available", "toolCallId": "t", "toolName": "n", "input": {}}
            with pytest.raises(AnswerTooLong):
                await done(answer.part(begins))
            with pytest.raises(ValueError, match="not begun"):
                await done(answer.part({"type": "tool-output-available", "toolCallId": "t", "output": 1}))


async def test_an_answer_that_vanished_is_made_anew_with_its_text(face: Any, own_broker: Any, prefix: str) -> None:
    reader = Reader(own_broker.url, prefix)
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("all "))
            await done(answer.part({"type": "data-x", "data": 1}))
            await done(answer.progress(1))
            reader.client.flushall()
            await done(answer.text("of it"))
        job = await done(pub.get_job("j"))
        assert await done(pub.create_answer("c", owner="ann", job_id="k")) == "k"
    assert (job.text, job.chat) == ("all of it", "c")
    assert message(pieces(reader, "j")) == job.parts
    assert reader.client.zrange(chat_key(prefix, "user:ann", "c"), 0, -1) == [b"j", b"k"]
    reader.close()


async def test_text_waits_for_a_redis_that_is_away(face: Any, own_broker: Any, prefix: str) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix, buffer_events=10)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("a"))
            own_broker.stop()
            for n in range(100):
                await done(answer.text(f"{n},"))
            own_broker.start()
        job = await done(pub.get_job("j"))
    assert job.text == "a" + "".join(f"{n}," for n in range(100))


async def test_an_answer_begins_while_redis_is_away(face: Any, own_broker: Any, prefix: str) -> None:
    async with within(face.from_url(own_broker.url, prefix=prefix)) as pub:
        older = await done(pub.create_answer("c", owner="ann"))
        own_broker.stop()
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("text"))
            own_broker.start()
        assert (await done(pub.get_job("j"))).text == "text"
        assert (await done(pub.get_job(older))).error["code"] == "superseded"


async def test_an_exception_fails_the_answer_whose_text_stays(face: Any, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        with pytest.raises(RuntimeError):
            async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
                await done(answer.text("so "))
                await done(answer.text("far"))
                raise RuntimeError("the model is gone")
        job = await done(pub.get_job("j"))
    assert (job.status, job.error["message"], job.text) == ("failed", "the model is gone", "so far")


async def test_the_text_is_gone_with_the_job(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("a"))
            assert reader.client.ttl(answer_key(prefix, "job:j")) > 86_400
        body, state = answer_key(prefix, "job:j"), channel_keys(prefix, "job:j").state
        assert abs(reader.client.ttl(body) - reader.client.ttl(state)) <= 1
        # An id that is used again begins with nothing.
        reader.client.delete(state)
        async with within(pub.answer("d", owner="ann", job_id="j")) as answer:
            await done(answer.text("b"))
        assert (await done(pub.get_job("j"))).text == "b"


async def test_a_stream_of_a_model_is_written_and_closed_when_the_answer_is_cancelled(
    face: Any, redis_url: str, prefix: str
) -> None:
    closed: list[str] = []

    def model() -> Iterator[Any]:
        try:
            yield "a"
            yield {"type": "start-step"}
            while True:
                yield "b"
        finally:
            closed.append("plain")

    async def async_model() -> AsyncIterator[Any]:
        try:
            yield "a"
            yield {"type": "start-step"}
            while True:
                yield "b"
        finally:
            closed.append("async")

    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        models = [model] if face is Publisher else [model, async_model]
        for make in models:
            job_id = await done(pub.create_answer("c", owner="ann"))
            answer = await begun(pub.answer("c", owner="ann", job_id=job_id))
            said = iter(["x"])
            await done(answer.stream(said))
            await done(pub.cancel_job(job_id))
            with pytest.raises(JobCancelled):
                await done(answer.stream(make()))
    assert closed == ["plain", "async"][: len(models)]


async def test_an_update_from_outside_appends(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    """What a worker in another language sends by PATCH."""
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        job_id = await done(pub.create_answer("c", owner="ann"))
        await done(pub.update_job(job_id, text="Hel"))
        found = await done(pub.update_job(job_id, text="lo", reasoning="hm", part={"type": "start-step"}))
        assert (found.status, found.text) == ("active", None)
        call = {"type": "tool-input-available", "toolCallId": "t", "toolName": "n", "input": {}}
        answer = {"type": "tool-output-available", "toolCallId": "t", "output": 5}
        with pytest.raises(ValueError, match="has not begun"):
            await done(pub.update_job(job_id, part=answer))
        await done(pub.update_job(job_id, part=call))
        await done(pub.update_job(job_id, part=answer))
        with pytest.raises(AnswerTooLong):
            await done(pub.update_job(job_id, text="x" * MIB))
        await done(pub.update_job(job_id, text="", reasoning=""))
        with pytest.raises(ValueError, match="Nothing"):
            await done(pub.update_job(job_id))
        await done(pub.update_job(job_id, text="!", status="completed"))
        with pytest.raises(JobFinished):
            await done(pub.update_job(job_id, text="?"))
        await done(pub.create_job("plain", kind="k", owner="ann"))
        with pytest.raises(ValueError, match="no answer"):
            await done(pub.update_job("plain", text="?"))
        job = await done(pub.get_job(job_id))
    kinds = [part["type"] for part in job.parts]
    assert kinds == ["text", "reasoning", "text", "start-step", call["type"], answer["type"], "text"]
    assert job.text == "Hello!"
    assert message(pieces(reader, job_id)) == job.parts


@pytest.mark.parametrize("chat", [".", "..", "", "a b", "a{b}", "a,b", "x" * 201, 5, None, "a\n"])
async def test_a_chat_that_cannot_be_named_is_refused(face: Any, chat: Any, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        with pytest.raises(ValueError, match="chat id"):
            await done(pub.create_answer(chat, owner="ann"))
        with pytest.raises(ValueError, match="chat id"):
            pub.answer(chat, owner="ann")
        with pytest.raises(ValueError, match="owner"):
            pub.answer("c", owner=None)


@pytest.mark.parametrize("chat", ["__proto__", "état-✨", "a:b", "..."])
async def test_a_chat_may_have_a_strange_name(face: Any, chat: str, redis_url: str, prefix: str) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        older = await done(pub.create_answer(chat, owner="ann"))
        await done(pub.create_answer(chat, owner="ann"))
        assert (await done(pub.get_job(older))).chat == chat
        assert (await done(pub.get_job(older))).status == "cancelled"


def test_what_waits_at_a_fork_is_the_parents(redis_url: str, prefix: str, reader: Reader) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub, pub.answer("c", owner="ann", job_id="j") as answer:
        answer.text("a")
        answer.text("b")
        child = os.fork()
        if not child:
            try:
                answer.log("from the child")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    assert message(pieces(reader, "j")) == [{"type": "text", "text": "ab"}]


async def test_rubbish_where_an_answer_is_does_no_harm(face: Any, redis_url: str, prefix: str, reader: Reader) -> None:
    body, chat = answer_key(prefix, "job:j"), chat_key(prefix, "user:ann", "c")
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        reader.client.set(chat, "rubbish")
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("a"))
            reader.client.delete(body)
            reader.client.hset(body, "x", "y")
            await done(answer.progress(1))
            await done(answer.text("b"))
        assert (await done(pub.get_job("j"))).text == "ab"
        for rubbish in (b"rubbish", b'[{"type":"text","text":"a"', b'[5,{"type":"text"}', b"\xff"):
            reader.client.set(body, rubbish)
            assert isinstance((await done(pub.get_job("j"))).text, str)


@pytest.mark.parametrize("fake", [RecordingPublisher, AsyncRecordingPublisher])
async def test_the_fake_writes_answers_as_the_real_one_does(fake: Any, redis_url: str, prefix: str) -> None:
    async def scenario(pub: Any) -> list[Any]:
        older = await begun(pub.answer("c", owner="ann", job_id="old"))
        await done(older.text("x"))
        said: list[Any] = []
        async with within(pub.answer("c", owner="ann", job_id="new")) as answer:
            await done(answer.reasoning("hm"))
            await done(answer.text("a"))
            await done(answer.part({"type": "data-x", "data": [1]}))
            await done(answer.text("b"))
            with pytest.raises(JobExists) as caught:
                await begun(pub.answer("c", owner="ann", job_id="new"))
            said.append(str(caught.value))
            with pytest.raises(JobExists) as caught:
                await done(pub.update_job("new", text="z"))
            said.append(str(caught.value))
        left = await begun(pub.answer("d", owner="ann", job_id="left"))
        await done(left.text("so far"))
        await done(left.retrying("down"))
        await done(pub.update_job("left", text=", and on"))
        async with within(pub.job("plain", kind="k")):
            with pytest.raises(ValueError, match="no answer"):
                await done(pub.update_job("plain", text="z"))
        for job_id in ("old", "left", "new"):
            job = await done(pub.get_job(job_id))
            said.append((job.status, job.chat, job.text, job.parts, job.error))
        return said

    async with within(fake()) as pretended:
        said = await scenario(pretended)
        told = [(event.type, orjson.loads(event.data)) for event in pretended.on("job:new")]
    real: Any = FACES["blocking" if fake is RecordingPublisher else "asyncio"]
    async with within(real.from_url(redis_url, prefix=prefix)) as pub:
        assert await scenario(pub) == said
    assert message([each for each in told if each[0] in ("job.text", "job.part")]) == said[-1][3]


async def test_the_text_of_a_lost_worker_stays(face: Any, redis_url: str, prefix: str) -> None:
    """What a worker has said before it died is there, whether the answer fails or is taken up by another one."""
    async with (
        within(face.from_url(redis_url, prefix=prefix)) as other,
        within(face.from_url(redis_url, prefix=prefix)) as pub,
    ):
        for chat, on_lost in (("fails", "fail"), ("waits", "wait")):
            answer = await begun(pub.answer(chat, owner="ann", job_id=chat, lease_s=0.2, on_worker_lost=on_lost))
            await done(answer.text("so far"))
            answer._sender.release(answer._record)  # as good as dead: nothing renews its lease

            async def noticed(job_id: str = chat) -> bool:
                return bool((await done(other.get_job(job_id))).status != "active")

            await until(noticed, "the loss")
        assert (await done(other.get_job("fails"))).error["code"] == "worker_lost"
        with pytest.raises(JobFinished):
            await begun(other.answer("fails", owner="ann", job_id="fails"))
        async with within(other.answer("waits", owner="ann", job_id="waits")) as answer:
            await done(answer.text(", and on"))
        texts = [(await done(other.get_job(job_id))).text for job_id in ("fails", "waits")]
    assert texts == ["so far", "so far, and on"]


async def test_answers_side_by_side_travel_together_and_keep_apart(redis_url: str, prefix: str, reader: Reader) -> None:
    """Their pieces share calls of Redis; one that is refused harms no other."""
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:

        async def one(n: int) -> None:
            async with pub.answer("c", owner=f"u{n}", job_id=f"j{n}") as answer:
                await answer.text(f"{n}:")
                if n % 10 == 0:
                    await pub.cancel_job(f"j{n}")
                with contextlib.suppress(JobCancelled):
                    for word in range(20):
                        await answer.text(f" {word}")
                        await answer.part({"type": "start-step"})

        await asyncio.gather(*map(one, range(100)))
        for n in range(100):
            job = await pub.get_job(f"j{n}")
            assert job is not None and job.text is not None and job.parts is not None
            assert job.status == ("cancelled" if n % 10 == 0 else "completed")
            assert message(pieces(reader, f"j{n}")) == job.parts
            if n % 10:
                assert job.text == f"{n}:" + "".join(f" {word}" for word in range(20))


async def test_a_whole_bundle_does_not_wait_for_a_round_trip_under_way(own_broker: Any, prefix: str) -> None:
    """How many are blocked in a Redis that pauses is how many were sent."""
    for most, expected in ((50, 3), (2, 1)):
        url = f"{own_broker.url}?max_connections={most}"
        async with AsyncPublisher.from_url(url, prefix=f"{prefix}{most}") as pub, contextlib.AsyncExitStack() as stack:
            held = [
                await stack.enter_async_context(pub.answer("c", owner=f"u{n}", job_id=f"j{n}"))
                for n in range(3 * MAX_EVENTS)
            ]
            with Redis.from_url(own_broker.url) as redis:
                redis.execute_command("CLIENT PAUSE", 600_000, "WRITE")
                saying = [asyncio.create_task(answer.text(f"{n}")) for n, answer in enumerate(held)]

                async def blocked(redis: Any = redis, expected: int = expected) -> bool:
                    return int(redis.info("clients")["blocked_clients"]) >= expected

                await until(blocked, "round trips under way")
                for _ in range(100):
                    await asyncio.sleep(0)
                assert redis.info("clients")["blocked_clients"] == expected
                redis.execute_command("CLIENT UNPAUSE")
            await asyncio.gather(*saying)
            jobs = [await pub.get_job(f"j{n}") for n in range(len(held))]
            assert [job and job.text for job in jobs] == [f"{n}" for n in range(len(held))]


async def test_a_full_buffer_refuses_pieces_and_loses_none_that_it_took(
    face: Any, own_broker: Any, prefix: str
) -> None:
    options: Any = {"buffer_bytes": 4096, "max_event_bytes": 4096}
    taken: list[str] = []
    async with within(face.from_url(own_broker.url, prefix=prefix, **options)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="j")) as answer:
            await done(answer.text("begin "))
            own_broker.stop()
            refused = 0

            async def say(n: int) -> None:
                nonlocal refused
                words = f"{n}:{'x' * 200} "
                try:
                    await done(answer.text(words))
                    taken.append(words)
                except BufferFull:
                    refused += 1

            numbers = iter(range(10_000))

            async def enough() -> bool:
                await say(next(numbers))
                return refused > 3

            await until(enough, "the buffer to be full")
            own_broker.start()
        job = await done(pub.get_job("j"))
    assert job.text == "begin " + "".join(taken)


async def test_a_model_is_not_held_up_by_slow_calls(redis_url: str, prefix: str, reader: Reader) -> None:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        async with pub.answer("c", owner="ann", job_id="j") as answer:
            answer._slow = True
            for n in range(3):
                await answer.text(f"{n} ")
                await until(lambda n=n: len(pieces(reader, "j")) == n + 1, "the piece")  # type: ignore[misc]
                answer._slow = True
    assert message(pieces(reader, "j")) == [{"type": "text", "text": "0 1 2 "}]


async def test_a_model_that_says_nothing_is_left_when_its_answer_is_cancelled(redis_url: str, prefix: str) -> None:
    """The page's stop button has to work before the first word as well."""
    closed = asyncio.Event()
    asked = asyncio.Event()

    async def silent() -> AsyncIterator[str]:
        try:
            asked.set()
            await asyncio.Event().wait()
            yield "never"
        finally:
            closed.set()

    async with (
        AsyncPublisher.from_url(redis_url, prefix=prefix) as pub,
        AsyncPublisher.from_url(redis_url, prefix=prefix) as other,
    ):
        async with asyncio.TaskGroup() as tasks:

            async def cancel() -> None:
                await asked.wait()
                await other.cancel_job("j")

            tasks.create_task(cancel())
            with pytest.raises(JobCancelled):
                async with pub.answer("c", owner="ann", job_id="j") as answer:
                    await answer.stream(silent())
        assert closed.is_set()

        async def impatient() -> AsyncIterator[str]:
            yield "a"
            raise TimeoutError("the model's own")

        with pytest.raises(TimeoutError, match="own"):
            async with pub.answer("c", owner="ann", job_id="k") as answer:
                await answer.stream(impatient())
        job = await pub.get_job("k")
        assert job is not None and job.status == "failed" and job.text == "a"
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(asyncio.CancelledError):
            async with pub.answer("c", owner="ann", job_id="l") as answer:
                asyncio.get_running_loop().call_soon(task.cancel)
                await answer.stream(silent())
        task.uncancel()
        job = await pub.get_job("l")
        assert job is not None and job.status == "cancelled"


def test_a_call_that_is_overtaken_by_its_own_repetition_appends_nothing(redis_url: str, prefix: str) -> None:
    """A cancelled task leaves its call under way on one connection while it is repeated on another."""
    transport, options = RedisTransport(redis_url), Options(prefix)
    birth = steps.open_answer(options, "c", "ann", "j", None)
    assert transport.execute(birth.call(options))[0] == b"ok"
    written = WrittenAnswer(birth.worker, 1000)
    for words in ("first ", "second"):
        step = AnswerStep("j", [piece for piece in [text_piece(TEXT, words)] if piece], written.size, written)
        late = step.call(options)
        step.tried = True
        reply = transport.execute(step.call(options))
        assert reply[0] == b"written"
        assert transport.execute(late)[0] == b"ahead"
        written.landed(step, reply[3])
        written.add(step)
    transport.close()
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        job = pub.get_job("j")
    assert job is not None and job.text == "first second"
