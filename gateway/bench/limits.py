"""What this machine lets one process open: raised as far as it goes, and said where that is not enough."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gateway.bench.target import NotAllowed, Target

OWN: Final = 64
"""File descriptors beside the streams: the event loop, the publishing process, modules."""
PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def make_room(connections: int, targets: Sequence[Target]) -> None:
    """Raise the limit of open files for so many streams. Raises :class:`NotAllowed` with what is missing."""
    needed = connections + OWN
    allowed = raise_limit(needed)
    if allowed is not None and allowed < needed:
        raise NotAllowed(
            f"{connections} streams need {needed} open files, and this process may have {allowed}: raise the limit "
            f"(ulimit -n {needed}; in Docker --ulimit nofile={needed}), or ask for {max(0, allowed - OWN)} connections."
        )
    ports = local_ports()
    places = len({(target.address, target.port) for target in targets})
    if ports is not None and connections > ports * places:
        raise NotAllowed(
            f"{connections} streams to {places} address(es) need as many local ports, and there are {ports} for each: "
            "widen them (sysctl -w net.ipv4.ip_local_port_range='1024 65535'), or name more nodes with --url."
        )


def raise_limit(needed: int) -> int | None:
    """The limit of open files afterwards; None for no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return None if soft == resource.RLIM_INFINITY else soft
    if hard != resource.RLIM_INFINITY and hard < needed:
        with contextlib.suppress(ValueError, OSError):  # root may
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
            return needed
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard)
        )
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def local_ports() -> int | None:
    """How many connections this machine can have to one address; None where it does not tell."""
    try:
        low, high = PORTS.read_text().split()
    except (OSError, ValueError):
        return None
    return int(high) - int(low) + 1
