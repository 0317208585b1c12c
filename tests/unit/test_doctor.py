"""The doctor's judgement, where no real server of this machine shows the fault: old, slow, far away, lying."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.auth.jwks import Key
from gateway.doctor import (
    buffers,
    clock,
    files,
    grants,
    keys,
    latency,
    memory,
    path,
    persistence,
    replication,
    rights,
    version,
)
from gateway.doctor.clock import Skew
from gateway.doctor.facts import Facts
from gateway.doctor.finding import Level, ok, over_servers, problem
from gateway.doctor.grants import Role
from gateway.doctor.patience import TookTooLong, bounded
from gateway.doctor.watch import Arrival, Watched
from gateway.sockets.file_limit import OWN_FILES, SPARE_SOCKETS

ROOT = Path(__file__).parents[2]
HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache, no-transform"}


def facts(**info: Any) -> Facts:
    return Facts("redis:6379", info)


@pytest.mark.parametrize(
    ("info", "cluster", "level"),
    [
        ({"redis_version": "5.0.14"}, False, Level.PROBLEM),
        ({"redis_version": "6.0.20"}, False, Level.PROBLEM),
        ({"redis_version": "6.2.14"}, False, Level.WARNING),
        ({"redis_version": "6.2.14"}, True, Level.PROBLEM),
        ({"redis_version": "7.0.0"}, True, Level.OK),
        ({"redis_version": "10.1.0"}, False, Level.OK),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.0"}, True, Level.OK),
        ({"redis_version": "unstable"}, False, Level.UNKNOWN),
        ({}, False, Level.UNKNOWN),
    ],
)
def test_an_old_server_is_refused_and_a_middle_aged_one_warned_of(
    info: dict[str, str], cluster: bool, level: Level
) -> None:
    found = version.judge(facts(**info), cluster=cluster)
    assert found.level is level
    assert ("Redis 7.0, Valkey 7.2" in found.remedy) is (level in (Level.WARNING, Level.PROBLEM))


@pytest.mark.parametrize(
    ("skew", "level"),
    [
        (Skew(0, 1), Level.OK),
        (Skew(-900, 0), Level.OK),
        (Skew(3000, 2500), Level.OK),  # the line is too slow to say more
        (Skew(3000, 20), Level.WARNING),
        (Skew(-3000, 20), Level.WARNING),
        (Skew(10_500, 20), Level.PROBLEM),
        (None, Level.UNKNOWN),
    ],
)
def test_a_clock_that_is_surely_off_is_told(skew: Skew | None, level: Level) -> None:
    found = clock.judge(skew, leeway_s=10)
    assert found.level is level
    assert skew is None or f"{abs(skew.ms):.0f} ms" in found.text


def test_a_slow_or_stuttering_server_is_warned_of() -> None:
    assert latency.judge([0.2] * 50).level is Level.OK
    assert "region and zone" in latency.judge([20.0] * 50).remedy
    assert "SLOWLOG" in latency.judge([0.2] * 49 + [400.0]).remedy


@pytest.mark.parametrize(("used", "level"), [(50, Level.OK), (85, Level.WARNING), (99, Level.PROBLEM), (0, Level.OK)])
def test_a_server_that_fills_up_is_told_in_time(used: int, level: Level) -> None:
    assert memory.judge(facts(maxmemory=100, maxmemory_policy="noeviction", used_memory=used), "sse").level is level


def test_keys_that_were_dropped_already_are_counted() -> None:
    found = memory.judge(facts(maxmemory=1, maxmemory_policy="allkeys-lfu", evicted_keys=7), "own")
    assert "every key of own:*" in found.text
    assert "dropped 7 already" in found.text


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ("normal 0 0 0 slave 256 64 60 pubsub 33554432 8388608 60", (33554432, 8388608, 60)),
        ("pubsub 1 2 3", (1, 2, 3)),
        ("", None),
        ("pubsub", None),
        ("pubsub a b c", None),
        ("pubsub 1 2", None),
    ],
)
def test_buffer_limits_are_read_as_servers_write_them(value: str, limit: tuple[int, int, int] | None) -> None:
    assert buffers.parse(value) == limit


def test_the_buffer_grows_with_the_largest_event() -> None:
    assert buffers.line(262_144) == "client-output-buffer-limit pubsub 32mb 8mb 60"
    assert buffers.line(16 << 20) == "client-output-buffer-limit pubsub 64mb 16mb 60"


def test_clients_that_a_managed_server_cut_off_are_told() -> None:
    found = buffers.judge(facts(client_output_buffer_limit_disconnections=3), 262_144)
    assert found.level is Level.WARNING
    assert "cut off 3 clients" in found.text


@pytest.mark.parametrize(
    ("info", "config", "level"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, {}, Level.PROBLEM),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, {}, Level.PROBLEM),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, {"stop-writes-on-bgsave-error": "no"}, Level.WARNING),
        ({"aof_enabled": 0, "rdb_last_bgsave_status": "err"}, {"save": ""}, Level.WARNING),
        ({"aof_enabled": 1}, {"appendfsync": "everysec"}, Level.OK),
        ({"aof_enabled": 1}, {}, Level.OK),
        ({"aof_enabled": 0}, {}, Level.WARNING),
        ({}, {}, Level.UNKNOWN),
    ],
)
def test_a_server_that_cannot_write_to_its_disk_is_told(
    info: dict[str, Any], config: dict[str, str], level: Level
) -> None:
    assert persistence.judge(Facts("redis:6379", info, config)).level is level


@pytest.mark.parametrize(
    ("replicas", "config", "failover", "level"),
    [
        ([{"state": "online", "lag": 1}], {"min-replicas-to-write": "1"}, True, Level.OK),
        ([{"state": "online", "lag": 1}], {"min-replicas-to-write": "0"}, True, Level.WARNING),
        ([{"state": "online", "lag": 1}], {"min-replicas-to-write": "0"}, False, Level.OK),
        ([{"state": "online", "lag": 90}], {}, False, Level.WARNING),
        ([{"state": "wait_bgsave", "lag": 0}], {}, False, Level.WARNING),
        ([{"state": "wait_bgsave", "lag": 0}], {"min-replicas-to-write": "1"}, False, Level.PROBLEM),
        ([], {}, True, Level.WARNING),
        ([], {}, False, Level.OK),
    ],
)
def test_replicas_that_lag_or_are_missing_are_told(
    replicas: list[dict[str, Any]], config: dict[str, str], failover: bool, level: Level
) -> None:
    rows = {f"slave{number}": replica for number, replica in enumerate(replicas)}
    state = Facts("redis:6379", {"role": "master", "connected_slaves": len(replicas), **rows}, config)
    assert replication.judge(state, failover=failover).level is level


@pytest.mark.parametrize(
    ("soft", "level"),
    [
        (None, Level.OK),
        (1000 + SPARE_SOCKETS + OWN_FILES, Level.OK),
        (1000 + SPARE_SOCKETS // 2, Level.OK),
        (1000 + OWN_FILES + SPARE_SOCKETS // 10, Level.PROBLEM),
        (1000, Level.PROBLEM),
    ],
)
def test_descriptors_have_to_do_for_streams_and_for_the_requests_beside_them(soft: int | None, level: Level) -> None:
    assert files.judge(soft, 1000).level is level


def test_a_node_without_a_limit_of_its_own_has_that_of_its_files() -> None:
    assert "3539 streams" in files.judge(4096, 0).text


@pytest.mark.parametrize(
    ("url", "level"), [("http://issuer.example/keys", Level.WARNING), ("https://issuer.example/keys", Level.OK)]
)
def test_a_key_set_over_plain_http_is_warned_of(url: str, level: Level) -> None:
    assert keys.judge_key_set([Key("one", None, ("ES256",))], ["ES256"], url).level is level


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (
            "ERR The user executing the script can't publish to the channel mentioned in the command",
            "NOPERM this user has no permissions to access one of the channels used as arguments",
        ),
        (
            "ERR ACL failure in script: No permissions to access a channel",
            "NOPERM No permissions to access a channel",
        ),
    ],
    ids=["Redis 7.0", "Valkey 9"],
)
def test_a_missing_channel_is_one_finding_in_the_words_of_each_server(inside: str, outside: str) -> None:
    for db, pattern in ((0, "&sse:*"), (3, "&sse@3:*")):
        (channels,) = grants.channel_patterns(Role.NODE, "sse", db)
        refusals = [rights.Refusal(*each, channels=channels) for each in (("PUBLISH", inside), ("SUBSCRIBE", outside))]
        (finding,) = rights.judge(rights.Attempt(tuple(refusals), None), Role.NODE, "sse", "app")
        assert "the user app may not use PUBLISH, SUBSCRIBE" in finding.text
        assert finding.remedy == f"ACL SETUSER app {pattern}"


def test_servers_that_agree_are_one_line_and_others_have_their_address() -> None:
    same = over_servers([("a:1", ok("x", "fine")), ("b:1", ok("x", "fine"))])
    assert [finding.text for finding in same] == ["fine"]
    mixed = over_servers([("a:1", ok("x", "fine")), ("b:1", problem("x", "bad", "mend")), ("c:1", ok("x", "fine"))])
    assert [finding.text for finding in mixed] == ["fine [a:1, c:1]", "bad [b:1]"]


def test_work_without_an_end_is_left_behind() -> None:
    forever = threading.Event()
    with pytest.raises(TookTooLong):
        bounded(forever.wait, 0.05)
    forever.set()


def test_work_that_ends_has_its_result_or_its_error() -> None:
    assert bounded(lambda: 7, 10) == 7
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 / 0, 10)


# Streams that were watched ---


PACKED = {**HEADERS, "content-encoding": "gzip"}


def watched(times: list[float], signs: int = 1, **more: Any) -> Watched:
    arrivals = [Arrival(0.01, 0), *[Arrival(at_s, signs) for at_s in times]]
    given = {"wait_s": 60.0, "status": 200, "http_version": "1.1", "headers": HEADERS, "arrivals": arrivals, **more}
    return Watched("https://events.example.com", True, **given)


def levels(seen: Watched) -> dict[str, Level]:
    return {found.check: found.level for found in path.judge(seen, heartbeat_s=15)}


def test_heartbeats_on_time_over_http2_are_fine() -> None:
    assert set(levels(watched([15, 30, 45], http2=True)).values()) == {Level.OK}


@pytest.mark.parametrize(
    ("seen", "check", "level"),
    [
        (watched([45], signs=3), "heartbeats", Level.PROBLEM),
        (watched([15, 58]), "heartbeats", Level.PROBLEM),
        (watched([], wait_s=5.0), "heartbeats", Level.UNKNOWN),
        (watched([15], ended_s=30.0), "lifetime", Level.PROBLEM),
        (watched([15], ended_s=30.0, closing={"reason": "draining"}), "lifetime", Level.OK),
        (watched([], ended_s=0.1, closing={"reason": "node_limit"}), "lifetime", Level.PROBLEM),
        (watched([], arrivals=[Arrival(7.0, 0)]), "first chunk", Level.WARNING),
        (watched([], arrivals=[]), "first chunk", Level.PROBLEM),
        (watched([15, 30, 45], headers=PACKED), "compression", Level.OK),
        (watched([15, 30, 45], headers={**PACKED, "cache-control": "no-cache"}), "headers", Level.OK),
        (watched([45], signs=3, headers=PACKED), "compression", Level.WARNING),
        (watched([45], signs=3, headers={**PACKED, "cache-control": "no-cache"}), "headers", Level.WARNING),
        (watched([], arrivals=[Arrival(7.0, 0)], headers=PACKED), "compression", Level.WARNING),
        (watched([], arrivals=[], headers=PACKED), "compression", Level.WARNING),
        (watched([], wait_s=5.0, headers=PACKED), "compression", Level.UNKNOWN),
        (watched([15, 30, 45], headers={**HEADERS, "cache-control": "no-cache"}), "headers", Level.WARNING),
        (watched([15, 30, 45], http2=False), "http", Level.WARNING),
        (watched([], status=0, error="nothing arrived in time"), "url", Level.PROBLEM),
        (watched([], status=503), "url", Level.PROBLEM),
        (watched([], status=302), "url", Level.PROBLEM),
    ],
)
def test_a_stream_that_came_badly_is_told(seen: Watched, check: str, level: Level) -> None:
    assert levels(seen)[check] is level


def test_plain_http_to_another_machine_is_warned_of() -> None:
    seen = watched([15, 30, 45])
    seen.place, seen.tls = "http://events.example.com", False
    assert levels(seen)["http"] is Level.WARNING
