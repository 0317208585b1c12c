"""Trace context: OpenTelemetry's real SDK makes the spans, Redis holds what events carry."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import orjson
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gateway.dialects.native import native_encoder
from publisher import AsyncPublisher, JobFinished, Publisher
from publisher.blocking.transport import RedisTransport
from publisher.core import drafts
from publisher.core.options import Options
from publisher.envelope import Event, encode
from publisher.keys import channel_keys
from tests.support.publishers import FACES, Reader, done, within
from tests.support.waiting import until

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_EXPORTER = InMemorySpanExporter()


@pytest.fixture(scope="module", autouse=True)
def sdk() -> None:
    """A process has one provider for good."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
    trace.set_tracer_provider(provider)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    _EXPORTER.clear()
    return _EXPORTER


@pytest.fixture(params=list(FACES))
def face(request: pytest.FixtureRequest) -> Any:
    return FACES[request.param]


def context_of(span: Any) -> str:
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{span.context.trace_flags:02x}"


async def test_an_event_carries_the_context_of_its_publish(
    face: Any, redis_url: str, prefix: str, reader: Reader, spans: InMemorySpanExporter
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        with trace.get_tracer("test").start_as_current_span("work") as work:
            await done(pub.send("ann@example.org", "note", {}))
    made = next(span for span in spans.get_finished_spans() if span.kind is SpanKind.PRODUCER)
    assert (made.name, made.parent and made.parent.span_id) == ("publish client:{id}", work.get_span_context().span_id)
    assert dict(made.attributes or {}) == {
        "messaging.system": "redis",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.template": "client:{id}",
    }
    (event,) = reader.log("client:ann@example.org")
    assert event.traceparent == context_of(made)
    assert "ann" not in made.to_json()


async def test_a_given_context_travels_unchanged_and_makes_no_span(
    face: Any, redis_url: str, prefix: str, reader: Reader, spans: InMemorySpanExporter
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        await done(pub.publish("topic:a", "t", 1, id="own id", traceparent=GIVEN))
        with pytest.raises(ValueError, match="32 hex digits"):
            await done(pub.publish("topic:a", "t", 1, traceparent=GIVEN.upper()))
    (event,) = reader.log("topic:a")
    assert (event.traceparent, event.id, event.type) == (GIVEN, "own id", "t")
    assert not spans.get_finished_spans()


async def test_a_list_has_one_span_and_events_keep_their_own_context(
    face: Any, redis_url: str, prefix: str, reader: Reader, spans: InMemorySpanExporter
) -> None:
    own = {"channel": "topic:b", "type": "t", "data": 2, "traceparent": GIVEN}
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        await done(pub.publish_many([("topic:a", "t", 1), own, ("topic:a", "t", 3)]))
    (span,) = spans.get_finished_spans()
    assert (span.name, (span.attributes or {})["messaging.batch.message_count"]) == ("publish topic:{name}", 3)
    assert [event.traceparent for event in reader.log("topic:a")] == [context_of(span)] * 2
    assert [event.traceparent for event in reader.log("topic:b")] == [GIVEN]


async def test_a_jobs_events_carry_context_to_its_owner_too(
    face: Any, redis_url: str, prefix: str, reader: Reader, spans: InMemorySpanExporter
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.job("j", kind="k", owner="ann")) as job:
            await done(job.progress(40))
    contexts = [context_of(span) for span in spans.get_finished_spans()]
    opened, progress, completed = contexts
    wanted = [opened, opened, progress, completed]
    assert [event.traceparent for event in reader.log("job:j")] == wanted
    assert [event.traceparent for event in reader.log("user:ann")] == wanted


async def test_what_waits_for_its_moment_keeps_the_context_that_it_was_said_in(
    redis_url: str, prefix: str, reader: Reader
) -> None:
    """Also where the timer of another one brings it along."""
    tracer, works = trace.get_tracer("test"), dict[str, str]()
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
        async with pub.answer("c", owner="ann", job_id="a") as ann, pub.answer("c", owner="bob", job_id="b") as bob:
            async with pub.job("k", kind="k", progress_interval_s=0.05) as job:
                await asyncio.gather(ann.text("first"), bob.text("first"), job.progress(1))
                for name, saying in (("a", ann.text(" more")), ("b", bob.text(" more")), ("k", job.progress(2))):
                    with tracer.start_as_current_span(name) as work:
                        works[name] = context_of(work).split("-")[1]
                        await saying
                for name in works:
                    await until(lambda name=name: len(said(reader, name)) == 2, "what waits")  # type: ignore[misc]
    for name, its_trace in works.items():
        first, waited = said(reader, name)
        assert (waited.traceparent or "").split("-")[1] == its_trace != (first.traceparent or "").split("-")[1]


def said(reader: Reader, job_id: str) -> list[Event]:
    return [event for event in reader.log(f"job:{job_id}") if event.type in ("job.text", "job.progress")]


async def test_what_waits_is_not_of_the_call_that_brings_it(
    face: Any, redis_url: str, prefix: str, reader: Reader, spans: InMemorySpanExporter
) -> None:
    tracer = trace.get_tracer("test")
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.answer("c", owner="ann", job_id="a")) as answer:
            with tracer.start_as_current_span("one") as one:
                await done(answer.text("first"))
                await done(answer.text(" waits"))
            with tracer.start_as_current_span("two") as two:
                await done(answer.emit("two", 2))
            await done(answer.text(" of nobody"))
    traces = {event.data: (event.traceparent or "").split("-")[1] for event in reader.log("job:a")}
    texts = {orjson.loads(data).get("text"): traced for data, traced in traces.items() if b'"text"' in data}
    first, second = (context_of(span).split("-")[1] for span in (one, two))
    assert texts["first"] == texts[" waits"] == first
    assert traces[b"2"] == second
    assert texts[" of nobody"] not in (first, second)


async def test_a_refused_event_is_an_error_that_names_nobody(
    face: Any, redis_url: str, prefix: str, spans: InMemorySpanExporter
) -> None:
    async with within(face.from_url(redis_url, prefix=prefix)) as pub:
        async with within(pub.job("secret-job", kind="k")):
            pass
        with pytest.raises(JobFinished):
            await done(pub.publish("job:secret-job", "t", 1))
    span = spans.get_finished_spans()[-1]
    assert (span.status.status_code, (span.attributes or {})["error.type"]) == (StatusCode.ERROR, "JobFinished")
    assert "secret-job" not in span.to_json()


async def test_a_repetition_finds_an_event_with_context(redis_url: str, prefix: str, reader: Reader) -> None:
    """Its message has another version, which the search through the history has to know."""

    options, transport = Options(prefix), RedisTransport(redis_url)
    event = drafts.draft(options, "topic:a", "t", 1, None, GIVEN)
    first = transport.execute(event.call(options))
    reader.client.delete(channel_keys(prefix, "topic:a").ids0, channel_keys(prefix, "topic:a").ids1)
    assert transport.execute(event.call(options).again()) == first
    assert len(reader.log("topic:a")) == 1
    transport.close()


def test_an_envelope_says_the_context_only_where_there_is_one(redis_url: str, prefix: str, reader: Reader) -> None:

    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        pub.publish("topic:a", "t", 1, traceparent=GIVEN)
    (traced,) = reader.log("topic:a")
    encoder = native_encoder(True, False)
    assert b'"traceparent":"%b"' % GIVEN.encode() in (encoder.event(traced) or b"")
    plain = traced._replace(traceparent=None)
    assert b"traceparent" not in (encoder.event(plain) or b"")
    assert encode(traced).startswith(b"2 ") and encode(plain).startswith(b"1 ")


def test_without_an_sdk_a_given_context_travels_on(redis_url: str, prefix: str, reader: Reader) -> None:
    """In a process that has the API alone."""
    code = (
        "from opentelemetry import trace\n"
        "from publisher import Publisher\n"
        "given = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))\n"
        f"with Publisher.from_url({redis_url!r}, prefix={prefix!r}) as pub:\n"
        "    pub.publish('topic:a', 't', 1)\n"
        "    with trace.use_span(trace.NonRecordingSpan(given)):\n"
        "        pub.publish('topic:a', 't', 2)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
    assert [event.traceparent for event in reader.log("topic:a")] == [None, f"00-{1:032x}-{2:016x}-01"]


def test_without_opentelemetry_events_have_no_context(redis_url: str, prefix: str, reader: Reader) -> None:
    """In a process where the package cannot be imported."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from publisher import Publisher\n"
        f"with Publisher.from_url({redis_url!r}, prefix={prefix!r}) as pub:\n"
        "    pub.publish('topic:a', 't', 1); pub.publish_many([('topic:a', 't', 2)])\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
    assert [event.traceparent for event in reader.log("topic:a")] == [None, None]
