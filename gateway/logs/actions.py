"""Every action that a node's log lines may name, with its fields, and what it means.

The reference page is made from these rows: ``python -m gateway.reference logs > docs/reference/logs.md``. A test
compares them with the calls in the code.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Action(NamedTuple):
    """One kind of line. ``fields`` are its keys; ``meaning`` also says what to do, where there is anything."""

    name: str
    level: str
    fields: tuple[str, ...]
    meaning: str


ACTIONS: Final = (
    Action("node.started", "info", ("url", "id", "version", "pid"), "The node listens."),
    Action(
        "node.few_files",
        "warning",
        ("files", "streams", "max_connections"),
        "The process may have fewer files open than `GATEWAY_MAX_CONNECTIONS` needs, although it has raised its soft "
        "limit to the hard one: it serves `streams` at most. Raise the hard limit. `info` where only a tenth lacks.",
    ),
    Action(
        "node.no_room",
        "warning",
        (),
        "A connection could not be accepted, because the process or the system has no files or memory for it. It is "
        "tried again a second later. Look whether `ulimit -n` and the system's own limit fit the node.",
    ),
    Action("node.draining", "info", ("streams", "window_s"), "It was told to stop, and lets its streams go."),
    Action("node.stopped", "info", ("crashed",), "It ends. After a crash the line before says why."),
    Action(
        "node.task_died",
        "error",
        ("name",),
        "A part of the node has ended that never should, and the node stops. Please report the traceback.",
    ),
    Action(
        "processes.started", "info", ("url", "processes", "pid"), "All nodes of `serve --processes` listen on one port."
    ),
    Action(
        "process.ended",
        "warning",
        ("process", "pid", "code", "again_s"),
        "One of them has ended by itself (a negative `code` is a signal); another one takes its place in so many "
        "seconds. What it said before tells why.",
    ),
    Action(
        "process.replaced",
        "info",
        ("process", "pid", "before"),
        "After SIGHUP a new process listens; the one before lets its streams go.",
    ),
    Action(
        "processes.not_replaced",
        "warning",
        (),
        "SIGHUP came, but a new process would not work or did not start; those that run stay.",
    ),
    Action("processes.stopped", "info", (), "All of them have ended."),
    Action(
        "stream.opened", "debug", ("connection", "dialect", "channels"), "A stream has begun; `channels` is a number."
    ),
    Action(
        "stream.closed",
        "debug",
        ("connection", "dialect", "reason", "seconds", "bytes"),
        "A stream has ended; the reasons are those of "
        "[`connections_closed_total`](metrics.md#reason-of-connections_closed_total).",
    ),
    Action(
        "stream.failed",
        "error",
        ("connection",),
        "A stream ended by a mistake of the node's own; its client comes back. Please report the traceback.",
    ),
    Action(
        "redis.up",
        "info",
        (),
        "The node hears Redis, and compares every channel with its history. `warning` after `redis.lost`.",
    ),
    Action(
        "redis.lost",
        "warning",
        ("reason",),
        "It hears Redis no more and connects anew; the reasons are those of "
        "[`redis_reconnects_total`](metrics.md#reason-of-redis_reconnects_total). `info` while it stops.",
    ),
    Action(
        "redis.connect_failed",
        "warning",
        (),
        "Connecting failed: the first, the 11th, the 101st time, then every thousand. Look at Redis and the network.",
    ),
    Action(
        "redis.subscribe_refused",
        "warning",
        (),
        "Redis does not let this user subscribe, so the node hears nothing and is not ready. Said once; grant it.",
    ),
    Action(
        "redis.probe_failed",
        "warning",
        (),
        "A probe through Redis did not come back; the connection is made anew.",
    ),
    Action("redis.resolve_failed", "debug", (), "Where the primary is could not be asked; it is asked again."),
    Action("redis.topology_failed", "warning", (), "The cluster did not say who serves what; it is asked again."),
    Action("redis.request_failed", "warning", (), "A call was answered with 503 because Redis did not answer."),
    Action(
        "lease.look_failed",
        "error",
        (),
        "Whether a job's worker is lost could not be asked. Please report the traceback.",
    ),
    Action("history.read_failed", "error", (), "Histories could not be read. Please report the traceback."),
    Action(
        "channel.compare_failed",
        "error",
        ("kind",),
        "A channel could not be compared with its history, by a mistake of the node's own; the others go on. Please "
        "report the traceback.",
    ),
    Action(
        "channel.reset",
        "warning",
        ("reason", "kind"),
        "Listeners have missed what cannot be replayed, and were told; the reasons are those of "
        "[`resets_total`](metrics.md#reason-of-resets_total).",
    ),
    Action(
        "redis.unreadable",
        "warning",
        ("kind",),
        "Something in Redis could not be read and was passed over; said once an hour for each of the kinds of "
        "[`unreadable_total`](metrics.md#kind-of-unreadable_total). Something else writes there, or another version.",
    ),
    Action("control.unreachable", "warning", (), "Revocations could not be read; `debug` while Redis is away."),
    Action(
        "presence.alone",
        "warning",
        (),
        "Redis is away: this node's streams are counted alone, and limits per user hold on this node only.",
    ),
    Action(
        "presence.back", "warning", ("generation", "streams"), "Redis is there again and knows this node's streams."
    ),
    Action(
        "presence.lost",
        "warning",
        ("generation",),
        "Redis had lost what this node counts, or its lease had run out; everything is written anew.",
    ),
    Action(
        "mercure.lost",
        "warning",
        ("subscribers",),
        "The same for its Mercure subscriptions, which are told anew.",
    ),
    Action(
        "presence.untold",
        "warning",
        (),
        "Who came and went could not be told on `topic:presence`; it is kept and told later.",
    ),
    Action(
        "keys.fetch_failed",
        "warning",
        (),
        "The key set of `GATEWAY_JWKS_URL` could not be had; known keys stay in use. Look at the issuer's endpoint.",
    ),
    Action("request.unreadable", "debug", (), "A client sent what is no HTTP."),
    Action("demo.job_ended", "info", ("job", "reason"), "`dev` only: a demo job was ended elsewhere."),
    Action("demo.job_broke", "error", ("job",), "`dev` only: a demo has a mistake."),
    Action(
        "log.suppressed",
        "warning",
        ("of", "lines"),
        "So many lines of the action `of` were kept back, because there were more than 20 within 10 s.",
    ),
    Action(
        "http.message", "warning", (), "The HTTP server (uvicorn) says something, such as that a request is no HTTP."
    ),
    Action("loop.message", "warning", (), "The event loop (asyncio) says something. Please report it."),
    Action(
        "publisher.message", "warning", (), "The publisher library says something, such as that events wait for Redis."
    ),
    Action("library.message", "warning", (), "Another library says something."),
    Action("python.warning", "warning", (), "A library uses something that will go away."),
)
