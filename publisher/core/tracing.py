"""Trace context: who published an event, as W3C ``traceparent``, and a span for each publish.

OpenTelemetry is used where it is installed (``pip install 'sse-gateway[otel]'``), and looked for when the first
publisher is made; without it nothing here costs anything. Spans say what kind of channel an event is for, never whose:
ids of users and jobs stay out of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from publisher import channels

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
NOW: Final = object()
"""In place of a span: what is sent belongs to the one that is current then."""
_NO_SPAN: Final[AbstractContextManager[str]] = nullcontext("")


def check(value: object) -> str:
    """Return ``value`` if it is a W3C traceparent of version 00; else raise ``ValueError``."""
    if not isinstance(value, str) or not _TRACEPARENT.fullmatch(value):
        raise ValueError("A traceparent has the form 00-32 hex digits-16 hex digits-2 hex digits, in lower case.")
    return channels.plain(value)


class Tracing:
    """Makes a span around each publish, and gives the ``traceparent`` that its events carry; empty: none."""

    def __init__(self) -> None:
        self._tracer = _tracer()

    @property
    def on(self) -> bool:
        """Whether OpenTelemetry is there."""
        return self._tracer is not None

    def current(self) -> Span | None:
        """The span that a publish belongs to which is made later; None where there is nothing to tell of it."""
        if self._tracer is None:
            return None
        span: Span = _api().get_current_span()
        return span if _has_sdk() or span.get_span_context().is_valid else None

    def span(self, channel: str, count: int = 1) -> AbstractContextManager[str]:
        """A span for ``count`` events on a channel; for several channels the empty name."""
        if self._tracer is None:
            return _NO_SPAN
        if not _has_sdk():
            # So nobody would ever see a span; a context that was given to this task still travels on.
            found = _traceparent(_api().get_current_span())
            return nullcontext(found) if found else _NO_SPAN
        return _spanned(self._tracer, channel, count)

    def span_under(self, parent: Span | None, channel: str) -> AbstractContextManager[str]:
        """The same for one event that was said under ``parent``, which :meth:`current` was then. It is not what is
        current inside: many may be under way in one task."""
        if self._tracer is None or parent is None:
            return _NO_SPAN
        return _spanned(self._tracer, channel, 1, parent) if _has_sdk() else nullcontext(_traceparent(parent))

    @contextmanager
    def span_of(self, events: Sequence[Traced]) -> Iterator[None]:
        """One span for a list; events that have a context of their own keep it."""
        with self.span(common([event.channel for event in events]), len(events)) as traceparent:
            for event in events:
                event.traceparent = event.traceparent or traceparent
            yield


class Traced(Protocol):
    """An event that is about to be sent."""

    channel: str
    traceparent: str


@cache
def _api() -> Any:
    """The module. An import statement for each event is dear."""
    from opentelemetry import trace

    return trace


def _has_sdk() -> bool:
    """Whether there is somebody to see spans. :func:`_tracer` has let the library load what the environment names.
    Asked for its provider it would look there each time, which takes twice as long as all the rest here."""
    trace = _api()
    try:
        return trace._TRACER_PROVIDER is not None
    except AttributeError:
        return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@cache
def _tracer() -> Tracer | None:
    try:
        tracer: Tracer = _api().get_tracer("publisher")
    except ImportError:
        return None
    return tracer


@contextmanager
def _spanned(tracer: Tracer, channel: str, count: int, parent: Span | None = None) -> Iterator[str]:
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

    name = template(channel)
    attributes: dict[str, str | int] = {
        "messaging.system": "redis",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
    }
    if name:
        attributes["messaging.destination.template"] = name
    if count != 1:
        attributes["messaging.batch.message_count"] = count
    made: dict[str, Any] = {"kind": SpanKind.PRODUCER, "attributes": attributes}
    called = f"publish {name}".rstrip()
    with (
        # An error's words name channels and jobs.
        tracer.start_as_current_span(called, record_exception=False, set_status_on_exception=False, **made)
        if parent is None
        else _ended(tracer.start_span(called, set_span_in_context(parent), **made))
    ) as span:
        try:
            yield _traceparent(span)
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise


@contextmanager
def _ended(span: Span) -> Iterator[Span]:
    try:
        yield span
    finally:
        span.end()


def _traceparent(span: Span) -> str:
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def template(channel: str) -> str:
    """A channel's name without its id: ``client:{id}``."""
    kind = channels.kind_of(channel)
    return channel if kind == channel else f"{kind}:{{{'name' if kind == 'topic' else 'id'}}}"


def common(names: list[str]) -> str:
    """The channel that stands for several: their own where it is one kind, else none."""
    return names[0] if names and len({template(name) for name in names}) == 1 else ""
