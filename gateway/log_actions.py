"""Every action that a node's log lines may name, with its fields, and what it means.

The reference page is made from these rows: ``python -m gateway.log_actions > docs/reference/logs.md``. A test compares
them with the calls in the code.
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
    Action("node.draining", "info", ("streams", "window_s"), "It was told to stop, and lets its streams go."),
    Action("node.stopped", "info", ("crashed",), "It ends. After a crash the line before says why."),
    Action(
        "node.task_died",
        "error",
        ("name",),
        "A part of the node has ended that never should, and the node stops. Please report the traceback.",
    ),
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
    Action("redis.up", "info", (), "The node hears Redis, and compares every channel with its history."),
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
        "redis.probe_failed",
        "warning",
        (),
        "A probe through Redis did not come back; the connection is made anew.",
    ),
    Action("redis.resolve_failed", "debug", (), "Where the primary is could not be asked; it is asked again."),
    Action("redis.topology_failed", "warning", (), "The cluster did not say who serves what; it is asked again."),
    Action("redis.request_failed", "warning", (), "A call was answered with 503 because Redis did not answer."),
    Action("history.read_failed", "error", (), "Histories could not be read. Please report the traceback."),
    Action(
        "channel.reset",
        "warning",
        ("reason", "kind"),
        "Listeners have missed what cannot be replayed, and were told; the reasons are those of "
        "[`resets_total`](metrics.md#reason-of-resets_total).",
    ),
    Action(
        "message.unreadable",
        "warning",
        ("kind",),
        "Something that is no event came on a channel: somebody publishes without the library or its format.",
    ),
    Action("control.unreachable", "warning", (), "Revocations could not be read; `debug` while Redis is away."),
    Action("control.unreadable", "warning", ("bytes",), "Something that is no order came on the nodes' own channel."),
    Action(
        "presence.alone",
        "warning",
        (),
        "Redis is away: this node's streams are counted alone, and limits per user hold on this node only.",
    ),
    Action("presence.back", "info", ("generation", "streams"), "Redis is there again and knows this node's streams."),
    Action(
        "presence.lost",
        "warning",
        ("generation",),
        "Redis had lost what this node counts, or its lease had run out; everything is written anew.",
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
    Action("demo.job_lost", "warning", ("job", "reason"), "`dev` only: a demo job could not be reported on."),
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


if __name__ == "__main__":
    from gateway.logs_reference import reference

    print(reference(), end="")
