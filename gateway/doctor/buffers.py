"""How much Redis keeps for a node that is slow to read its pub/sub connection."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.doctor.facts import Facts
from gateway.doctor.finding import Finding, ok, problem, unknown, warning

CHECK: Final = "pub/sub buffer"
MIB: Final = 1 << 20
HARD: Final = 32 * MIB
SOFT: Final = 8 * MIB
SOFT_S: Final = 60


class BufferLimit(NamedTuple):
    """Bytes, and seconds over ``soft``; 0 is no limit."""

    hard: int
    soft: int
    soft_s: int


def judge(facts: Facts, max_event_bytes: int) -> Finding:
    limit = parse(facts.config.get("client-output-buffer-limit", ""))
    cut = facts.number("client_output_buffer_limit_disconnections") or 0
    if limit is None:
        return _unseen(cut, max_event_bytes)
    text = f"a node is cut off at {_mib(limit.hard)}, or {_mib(limit.soft)} for {limit.soft_s} s"
    remedy = f"Set {line(max_event_bytes)}."
    if not limit.hard and not limit.soft:
        return warning(
            CHECK, "there is no limit: a node that hangs may fill the memory of Redis", f"{remedy} It is the default."
        )
    bounds = [bound for bound in (limit.hard, limit.soft if limit.soft_s < 5 else 0) if bound]
    if bounds and min(bounds) < 4 * max_event_bytes:
        return problem(
            CHECK,
            f"{text}: fewer than four events of {_mib(max_event_bytes)} (GATEWAY_MAX_EVENT_BYTES), arriving at once, "
            "disconnect it from everything",
            remedy,
        )
    least = wanted(max_event_bytes)
    if 0 < limit.hard < least.hard or 0 < limit.soft < least.soft:
        return warning(CHECK, f"{text}, which is below the usual; a burst may disconnect it from everything", remedy)
    if cut:
        return warning(CHECK, f"{text}; {_cut(cut)}", "Look at the logs of Redis for who it was; see the nodes' CPU.")
    return ok(CHECK, text)


def wanted(max_event_bytes: int) -> BufferLimit:
    """The server's own default, or what holds a few of the largest events."""
    hard = max(HARD, 4 * max_event_bytes)
    return BufferLimit(hard, max(SOFT, hard // 4), SOFT_S)


def line(max_event_bytes: int) -> str:
    """The line of the server's configuration."""
    hard, soft, seconds = wanted(max_event_bytes)
    return f"client-output-buffer-limit pubsub {-(-hard // MIB)}mb {-(-soft // MIB)}mb {seconds}"


def parse(value: str) -> BufferLimit | None:
    """The limits of the class ``pubsub`` in what CONFIG GET answers."""
    words = value.split()
    if "pubsub" not in words:
        return None
    numbers = words[words.index("pubsub") + 1 :][:3]
    if len(numbers) < 3 or not all(number.isascii() and number.isdigit() for number in numbers):
        return None
    return BufferLimit(*map(int, numbers))


def _unseen(cut: int, max_event_bytes: int) -> Finding:
    if cut:
        remedy = f"Ask the provider for {line(max_event_bytes)} if it was a node: its log says redis.down."
        return warning(CHECK, f"the limit cannot be looked at, and {_cut(cut)}", remedy)
    return unknown(CHECK, f"the limit cannot be looked at; it should be {line(max_event_bytes)}")


def _cut(count: int) -> str:
    return f"since its start the server has cut off {count} clients that did not read"


def _mib(count: int) -> str:
    if not count:
        return "no limit"
    return f"{count / MIB:.0f} MiB" if count >= MIB else f"{count / 1024:.0f} KiB"
