"""Everything that is looked at, in order, each part bounded in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gateway.doctor import configuration, files, keys, path, reach, redis_checks, watch
from gateway.doctor.finding import Finding, unknown
from gateway.doctor.patience import within

REDIS_S: Final = 15.0
KEY_SET_S: Final = 12.0
STREAM_S: Final = 25.0
"""For connecting, the handshakes and the head of a stream, beside the time that it is watched."""
HEARTBEATS: Final = 2.5


class SampleStream(NamedTuple):
    """A stream to watch through everything that lies in between; ``wait_s`` None: long enough for two heartbeats."""

    url: str
    token: str
    wait_s: float | None


def examine(environ: Mapping[str, str], stream: SampleStream | None) -> Iterator[Finding]:
    """All findings, as they come."""
    settings, problems = configuration.read(environ)
    yield from configuration.judge(settings, problems)
    yield files.judge(files.limit(), settings.max_connections)
    if problems:
        yield unknown(keys.STRENGTH, "not looked at before the settings are right")
    else:
        found = keys.judge_key(settings)
        if found is not None:
            yield found
        yield from within(
            KEY_SET_S, keys.KEY_SET, lambda: (each for each in [keys.check_key_set(settings)] if each is not None)
        )
    yield from within(REDIS_S, reach.CHECK, lambda: redis_checks.examine(settings))
    if stream is not None:
        wait_s = stream.wait_s or max(5.0, HEARTBEATS * settings.heartbeat_s)
        yield from within(
            wait_s + STREAM_S,
            path.URL,
            lambda: path.judge(watch.watch(stream.url, stream.token, wait_s), settings.heartbeat_s),
        )
