"""What lies between a browser and the node, judged by a stream that was watched. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from gateway.doctor.finding import Finding, Level, ok, problem, unknown, warning
from gateway.doctor.watch import Watched

URL: Final = "url"
FIRST: Final = "first chunk"
HEARTBEATS: Final = "heartbeats"
OPEN: Final = "lifetime"
COMPRESSION: Final = "compression"
HEADERS: Final = "headers"
HTTP: Final = "http"
SLOW_S: Final = 2.0
SLACK_S: Final = 2.0
UNBUFFER: Final = (
    "Switch buffering off for event streams: proxy_buffering off (nginx), flushpackets=on (Apache), no response "
    "buffering or caching at the CDN."
)
IDLE: Final = (
    "proxy_read_timeout 1h (nginx), timeout tunnel/server 1h (HAProxy), timeout: 0s (Envoy), idle_timeout (ALB)"
)


def judge(seen: Watched, heartbeat_s: float) -> Iterator[Finding]:
    refused = _refused(seen)
    if refused is not None:
        yield refused
        return
    yield ok(URL, f"{seen.place} answers with an event stream after {seen.head_s * 1000:.0f} ms")
    first = _first(seen)
    yield first
    beats = None
    if seen.arrivals:
        beats = _heartbeats(seen, heartbeat_s)
        yield beats
        yield _lifetime(seen)
    flushed = _flushed(seen, first, beats)
    yield _compression(seen, flushed)
    yield _headers(seen, flushed)
    yield from _http(seen)


def _refused(seen: Watched) -> Finding | None:
    """Why there is no stream to judge."""
    if not seen.status:
        if seen.error == "nothing arrived in time":
            return problem(
                URL, f"{seen.place}: not even the head of the answer arrived; something in between buffers it", UNBUFFER
            )
        return problem(URL, f"{seen.place}: {seen.error}", "Check the address, and that proxy and node run.")
    kind = seen.headers.get("content-type", "nothing")
    if seen.status == 200 and kind.partition(";")[0].strip().lower() == "text/event-stream":
        return None
    if seen.status == 200:
        return problem(URL, f"{seen.place} answers {kind}, which is no event stream", "Name the gateway, or a stream.")
    return problem(URL, f"{seen.place} answers {seen.status}", _advice(seen.status))


def _advice(status: int) -> str:
    if status in (401, 403):
        return "Give a token that may read the stream: --token, or SSE_GATEWAY_TOKEN."
    if status in (502, 503, 504):
        return "The proxy does not reach a node that is ready: see its log, and /readyz of the node."
    if 300 <= status < 400:
        return "Name the address that it redirects to."
    if status == 404:
        return "Route /v1/… to the nodes, or name the stream's full address; a job that is not there is 404 too."
    return "See the logs of proxy and node."


def _first(seen: Watched) -> Finding:
    if not seen.arrivals:
        how = f"ended after {seen.ended_s:.1f} s" if seen.ended_s is not None else "stayed empty"
        return problem(
            FIRST, f"the stream {how}: what a node sends at once is held back by something in between", UNBUFFER
        )
    at_s = seen.arrivals[0].at_s
    if at_s > SLOW_S:
        return warning(FIRST, f"after {at_s:.1f} s; a node sends it at once, so something in between held it", UNBUFFER)
    return ok(FIRST, f"after {at_s * 1000:.0f} ms")


def _heartbeats(seen: Watched, heartbeat_s: float) -> Finding:
    last_s = seen.ended_s if seen.ended_s is not None else seen.wait_s
    times = [arrival.at_s for arrival in seen.arrivals]
    silence = max(b - a for a, b in zip(times, [*times[1:], last_s], strict=True))
    lump = max((arrival.signs for arrival in seen.arrivals[1:]), default=0)
    count = sum(arrival.signs for arrival in seen.arrivals)
    if lump > 1 and silence > 1.5 * heartbeat_s:
        return problem(
            HEARTBEATS,
            f"{lump} arrived at once after {silence:.1f} s of nothing: something in between buffers",
            UNBUFFER,
        )
    if silence > 2 * heartbeat_s + SLACK_S:
        return problem(
            HEARTBEATS,
            f"nothing arrived for {silence:.1f} s, though a node sends a sign of life every {heartbeat_s:g} s "
            "(GATEWAY_HEARTBEAT_S here)",
            UNBUFFER,
        )
    if last_s < heartbeat_s + SLACK_S / 2 and not count:
        return unknown(
            HEARTBEATS, f"none was due within {last_s:.0f} s; watch longer with --wait {3 * heartbeat_s:.0f}"
        )
    return ok(HEARTBEATS, f"{count} in {last_s:.1f} s, each by itself")


def _lifetime(seen: Watched) -> Finding:
    if seen.ended_s is None:
        return ok(OPEN, f"still open after {seen.wait_s:g} s")
    if seen.closing is None:
        return problem(
            OPEN,
            f"it was cut after {seen.ended_s:.1f} s, without the node's farewell: a limit on idle or total time",
            f"Raise it well above GATEWAY_MAX_STREAM_AGE_S: {IDLE}.",
        )
    reason = str(seen.closing.get("reason", "?"))[:100]
    if seen.ended_s < SLOW_S:
        return problem(OPEN, f"the node refused it at once: {reason}", "See the node's log, and /readyz.")
    return ok(OPEN, f"the node itself ended it after {seen.ended_s:.1f} s: {reason}")


def _flushed(seen: Watched, first: Finding, beats: Finding | None) -> Level:
    """Whether what compresses the stream passes on each event by itself; UNKNOWN where none was due, OK where nothing
    compresses it."""
    if seen.headers.get("content-encoding", "").lower() in ("", "identity"):
        return Level.OK
    if beats is None or first.level is not Level.OK:
        return Level.WARNING
    return beats.level if beats.level in (Level.OK, Level.UNKNOWN) else Level.WARNING


def _compression(seen: Watched, flushed: Level) -> Finding:
    encoding = seen.headers.get("content-encoding", "").lower()
    if encoding in ("", "identity"):
        return ok(COMPRESSION, "none")
    by = f"{encoding}, by something in between"
    if flushed is Level.OK:
        return ok(COMPRESSION, f"{by}, which passes on each event by itself; it costs memory there for every stream")
    if flushed is Level.UNKNOWN:
        return unknown(COMPRESSION, f"{by}; watch longer to see whether it passes on each event by itself")
    return warning(
        COMPRESSION,
        f"{by}, which holds events back",
        "Leave text/event-stream out of what is compressed (gzip_types in nginx, compression.excludedContentTypes in "
        "Traefik), or have each event flushed, as the files in deploy/ do.",
    )


def _headers(seen: Watched, flushed: Level) -> Finding:
    caching = seen.headers.get("cache-control", "").lower()
    if "no-cache" not in caching and "no-store" not in caching:
        return warning(
            HEADERS,
            f"Cache-Control is {caching or 'gone'}; caches on the way may keep the stream, and old browsers too",
            "Let Cache-Control: no-cache, no-transform of the node pass.",
        )
    note = "" if "x-accel-buffering" in seen.headers else "; X-Accel-Buffering stayed with a proxy, as nginx has it"
    if "no-transform" in caching:
        return ok(HEADERS, f"Cache-Control: {caching}{note}")
    if "content-encoding" in seen.headers and flushed is Level.OK:
        return ok(HEADERS, f"Cache-Control: {caching}; no-transform stayed with the proxy that compresses{note}")
    return warning(
        HEADERS,
        "Cache-Control has lost no-transform, which keeps CDNs from compressing",
        "Let Cache-Control: no-cache, no-transform of the node pass.",
    )


def _http(seen: Watched) -> Iterator[Finding]:
    if seen.http_version == "1.0":
        yield warning(
            HTTP,
            "the answer is HTTP/1.0, which knows no chunks: an end and a cut look the same",
            "Let the proxy speak HTTP/1.1 on both sides: proxy_http_version 1.1 and an empty Connection (nginx).",
        )
    elif seen.http2:
        yield ok(HTTP, "HTTP/2 is offered")
    elif seen.tls:
        yield warning(
            HTTP,
            "HTTP/1.1 only: browsers open six connections per host, over all tabs",
            "Switch HTTP/2 on at the proxy (http2 on; in nginx).",
        )
    elif _is_local(seen.place):
        yield ok(HTTP, "HTTP/1.1 without TLS, on this machine")
    else:
        yield warning(
            HTTP, "HTTP/1.1 without TLS: tokens can be read on the way", "Use https:// with HTTP/2 at the proxy."
        )


def _is_local(place: str) -> bool:
    host = urlsplit(place).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
