"""Whether a process may hold as many sockets as the node is to hold streams."""

from __future__ import annotations

from typing import Final

from gateway.doctor.finding import Finding, ok, problem
from gateway.sockets.file_limit import OWN_FILES, SPARE_SOCKETS, reachable, share

CHECK: Final = "file descriptors"


def limit() -> int | None:
    """What a node that is started the same way raises its limit to; None for no limit."""
    return reachable()


def judge(files: int | None, max_connections: int) -> Finding:
    if files is None:
        return ok(CHECK, "no limit")
    streams = share(files, max_connections).streams
    if not max_connections:
        return ok(CHECK, f"{files} are enough for {streams} streams; GATEWAY_MAX_CONNECTIONS sets no other limit")
    if streams == max_connections:
        return ok(CHECK, f"{files} are enough for {max_connections} streams")
    needed = max_connections + SPARE_SOCKETS + OWN_FILES
    return problem(
        CHECK,
        f"{files} are too few for {max_connections} streams (GATEWAY_MAX_CONNECTIONS): a node serves {streams} at most",
        f"Raise the hard limit: ulimit -n {needed}, LimitNOFILE={needed} (systemd), --ulimit nofile={needed}:{needed} "
        f"(Docker); or set GATEWAY_MAX_CONNECTIONS={streams}.",
    )
