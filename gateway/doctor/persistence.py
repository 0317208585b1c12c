"""What a restart of Redis loses."""

from __future__ import annotations

from typing import Final

from gateway.doctor.facts import Facts
from gateway.doctor.finding import Finding, ok, problem, unknown, warning

CHECK: Final = "persistence"
AOF: Final = "Set appendonly yes and appendfsync everysec."


def judge(facts: Facts) -> Finding:
    aof = facts.number("aof_enabled")
    if aof is None:
        return unknown(CHECK, "cannot be looked at; best is an append-only file, written every second")
    broken = _broken(facts)
    if broken is not None:
        return broken
    if aof:
        return _append_only(facts.config.get("appendfsync", ""))
    save = facts.config.get("save")
    if save is None:
        return warning(CHECK, "there is no append-only file; whether there are snapshots cannot be looked at", AOF)
    if not save:
        return warning(
            CHECK,
            "there is none: a restart loses all histories and jobs, open pages are told so and start over",
            AOF,
        )
    return warning(CHECK, f"snapshots only ({_often(save)}): a crash loses all since the last one", AOF)


def _append_only(fsync: str) -> Finding:
    if fsync == "no":
        return warning(
            CHECK,
            "the append-only file is written when the system likes: a crash of the machine loses up to half a minute",
            "Set appendfsync everysec.",
        )
    loses = {"always": "a crash loses nothing", "everysec": "a crash loses a second at most"}.get(fsync)
    return ok(CHECK, "append-only file" + (f", {loses}" if loses else ""))


def _broken(facts: Facts) -> Finding | None:
    remedy = "Look at the server's log, and make room on its disk."
    if str(facts.info.get("aof_last_write_status", "ok")) != "ok":
        return problem(CHECK, "the append-only file could not be written, so that no event is accepted", remedy)
    if str(facts.info.get("rdb_last_bgsave_status", "ok")) == "ok":
        return None
    if facts.config.get("save", "yes") and facts.config.get("stop-writes-on-bgsave-error", "yes") == "yes":
        return problem(CHECK, "the last snapshot failed, so that no event is accepted", remedy)
    return warning(CHECK, "the last snapshot failed", remedy)


def _often(save: str) -> str:
    """``3600 1 300 100`` in words: the shortest of the intervals."""
    numbers = [int(word) for word in save.split()[::2] if word.isdigit()]
    return f"every {min(numbers)} s at most" if numbers else "now and then"
