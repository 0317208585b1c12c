"""Whether a process may hold as many sockets as the node is to hold streams."""

from __future__ import annotations

from typing import Final

from gateway.doctor.finding import Finding, ok, problem, warning
from gateway.serving import SPARE_SOCKETS

CHECK: Final = "file descriptors"
OWN: Final = 100
"""What a node has open beside sockets of clients: connections to Redis, modules, logs."""


def limit() -> int | None:
    """The soft limit of this process, as a node that is started the same way has it; None for no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def judge(soft: int | None, max_connections: int) -> Finding:
    if soft is None:
        return ok(CHECK, "no limit")
    if not max_connections:
        return warning(
            CHECK,
            f"{soft}, and the node has no limit of its own: at the end even health checks fail",
            f"Set GATEWAY_MAX_CONNECTIONS, to {max(1, soft - SPARE_SOCKETS - OWN)} at most.",
        )
    needed = max_connections + SPARE_SOCKETS + OWN
    if soft >= needed:
        return ok(CHECK, f"{soft} are enough for {max_connections} streams")
    remedy = (
        f"Raise the limit: ulimit -n {needed}, LimitNOFILE={needed} (systemd), --ulimit nofile={needed}:{needed} "
        "(Docker)" + _or_lower(soft)
    )
    if soft < max_connections + OWN:
        return problem(CHECK, f"{soft} are too few for {max_connections} streams (GATEWAY_MAX_CONNECTIONS)", remedy)
    return warning(CHECK, f"{soft} leave little room for health checks beside {max_connections} streams", remedy)


def _or_lower(soft: int) -> str:
    room = soft - SPARE_SOCKETS - OWN
    return f"; or set GATEWAY_MAX_CONNECTIONS={room}." if room > 0 else "."
