"""How many files this process may have open, and how they are shared out to sockets."""

from __future__ import annotations

from typing import Final, NamedTuple

OWN_FILES: Final = 100
"""What a node has open beside sockets of clients: connections to Redis, modules, logs."""
COMING: Final = 64
"""Accepted in this turn of the loop, while those that make room for them are not closed yet."""
SPARE_SOCKETS: Final = 1000
"""For short requests and health checks beside the streams."""
LEAST_SPARE: Final = 50
SPARE_SHARE: Final = 10
"""With few files, one socket in so many is no stream."""


class Share(NamedTuple):
    """0 is no limit."""

    sockets: int
    streams: int


def raised() -> int | None:
    """Raise the soft limit to the hard one, as every process may; the limit then, None where there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS refuses more than its kernel has
            pass
    return None if soft == resource.RLIM_INFINITY else soft


def reachable() -> int | None:
    """What :func:`raised` would come to, for a process that is started like this one."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def share(files: int | None, max_connections: int) -> Share:
    """How many sockets a node may hold, and how many of them may be streams: some are left to health checks."""
    wanted = max_connections + SPARE_SOCKETS if max_connections else 0
    if files is None:
        return Share(wanted, max_connections)
    most = max(LEAST_SPARE + 1, files - OWN_FILES - COMING)
    if wanted and wanted <= most:
        return Share(wanted, max_connections)
    streams = most - min(SPARE_SOCKETS, max(LEAST_SPARE, most // SPARE_SHARE))
    return Share(most, min(max_connections, streams) if max_connections else streams)
