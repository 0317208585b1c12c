"""``sse-gateway doctor`` against real brokers, one of them for each fault that it is to find."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import redis

from gateway.doctor import grants
from gateway.doctor.grants import Role
from tests.support.broker import Broker
from tests.support.commands import environment, run
from tests.support.doctor import HEALTHY, diagnose
from tests.support.key_server import KeyServer
from tests.support.node import ROOT
from tests.support.ports import HOST, free_port, refusing_port
from tests.support.redis_cluster import cluster_url, redis_cluster
from tests.support.tls_front import TlsFront
from tests.support.waiting import wait_until

GOOD = ("maxmemory 200mb", "maxmemory-policy noeviction", "appendfsync everysec")


def test_a_healthy_deployment_has_nothing_to_change_and_keeps_no_trace() -> None:
    with Broker(append_only=True, config=GOOD) as broker:
        seen = diagnose("--redis-url", broker.url)
        with redis.Redis(port=broker.port, protocol=2) as client:
            left = client.dbsize()
    assert seen.worse_than_ok() == {}, seen.output
    assert (seen.exit_code, left) == (0, 0)
    assert {row["check"] for row in seen.findings} >= {"version", "latency", "clock", "rights", "pub/sub", "token key"}


def test_every_check_is_a_line_and_every_problem_says_what_to_change_below_it() -> None:
    with Broker(config=["maxmemory 200mb", "maxmemory-policy allkeys-lru"]) as broker:
        done = run("doctor", "--redis-url", broker.url, **HEALTHY)
    lines = done.stdout.splitlines()
    assert all(re.match(r"[✓!✗?] [a-zA-Z/ ]+: |    \S", line) for line in lines), done.stdout
    (at,) = [number for number, line in enumerate(lines) if line.startswith("✗ memory: maxmemory-policy allkeys-lru")]
    assert "CONFIG SET maxmemory-policy noeviction" in lines[at + 1]
    assert (done.returncode, done.stderr) == (1, "")


def test_warnings_alone_are_no_failure() -> None:
    with Broker() as broker:
        seen = diagnose("--redis-url", broker.url)
    assert seen.worse_than_ok() == {"memory": "warning", "persistence": "warning"}
    assert "a restart loses all histories and jobs" in seen.says("persistence")
    assert "appendonly yes" in seen.says("persistence")
    assert seen.exit_code == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_the_marks_gets_others(encoding: str) -> None:
    env = {**environment(HEALTHY), "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    with refusing_port() as port:
        command = [sys.executable, "-m", "gateway", "doctor", "--redis-url", f"redis://{HOST}:{port}/0"]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"ok settings: fit together" in done.stdout
    assert b"X redis: " in done.stdout


# Getting there ---


def test_a_server_that_is_not_there_is_told() -> None:
    port = free_port()
    seen = diagnose("--redis-url", f"redis://user:hush@{HOST}:{port}/0")
    assert seen.worse_than_ok() == {"redis": "problem"}
    assert f"{HOST}:{port}: nothing listens there" in seen.says("redis")
    assert seen.exit_code == 1
    assert "hush" not in seen.output


def test_a_server_that_hangs_does_not_hang_the_doctor() -> None:
    with Broker() as broker:
        broker.freeze()
        seen = diagnose("--redis-url", broker.url)
    assert "no answer in time" in seen.says("redis")


@pytest.mark.parametrize(
    ("user", "sentence"),
    [("", "it wants a password, and the address has none"), (":nothush@", "it refuses user name or password")],
)
def test_a_wrong_password_is_told_without_repeating_it(user: str, sentence: str) -> None:
    with Broker(config=["requirepass hush-hush"]) as broker:
        seen = diagnose("--redis-url", f"redis://{user}{HOST}:{broker.port}/0")
    assert sentence in seen.says("redis")
    assert "hush" not in seen.output


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://no-such-host.invalid:6379/0", "the host name is not known here"),
        ("unix:///no/such/redis.sock", "there is no such socket"),
        (f"redis+sentinel://{HOST}:1/main/0", f"{HOST}:1 does not answer"),
        (f"redis+cluster://{HOST}:1", "nothing listens there"),
    ],
)
def test_an_address_that_leads_nowhere_is_told(url: str, sentence: str) -> None:
    seen = diagnose("--redis-url", url)
    assert seen.exit_code == 1
    assert sentence in seen.output


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_a_server_that_speaks_something_else_is_told(scheme: str) -> None:
    with KeyServer() as other:
        seen = diagnose("--redis-url", other.url.replace("http", scheme).removesuffix("/keys"))
    assert seen.level("redis") == "problem"
    assert seen.exit_code == 1


def test_an_address_that_is_none_is_refused_before_anything_is_looked_at() -> None:
    for url in ("http://user:hush@x", "redis://user:hush@x/0?ssl_nonsense=1"):
        done = run("doctor", "--redis-url", url, **HEALTHY)
        assert (done.returncode, done.stdout) == (2, "")
        assert "must be redis://host:port/db" in done.stderr
        assert "hush" not in done.stderr


def test_a_database_that_is_not_there_is_told() -> None:
    with Broker() as broker:
        seen = diagnose("--redis-url", f"redis://{HOST}:{broker.port}/999")
    assert "it has no such database" in seen.says("redis")


def test_tls_that_is_not_trusted_not_spoken_or_forgotten_is_told_and_the_remedies_work() -> None:
    with Broker() as broker, TlsFront(broker.port) as front:
        url = f"rediss://{HOST}:{front.port}/0"
        assert "its certificate is refused: self-signed certificate" in diagnose("--redis-url", url).says("redis")
        forgotten = diagnose("--redis-url", url.replace("rediss", "redis"))
        assert "If it speaks TLS, write rediss://" in forgotten.says("redis")
        trusted = diagnose("--redis-url", f"{url}?ssl_ca_certs={front.authority}")
        assert trusted.level("redis") == trusted.level("pub/sub") == "ok"


# What the server is set to ---


@pytest.mark.parametrize(
    ("line", "check", "level", "sentence", "remedy"),
    [
        ("maxmemory 200mb\nmaxmemory-policy volatile-ttl", "memory", "problem", "that has a time limit", "noeviction"),
        ("maxmemory 0", "memory", "warning", "there is no limit", "Set maxmemory"),
        ("client-output-buffer-limit pubsub 256kb 64kb 60", "pub/sub buffer", "problem", "256 KiB", "32mb 8mb 60"),
        ("client-output-buffer-limit pubsub 16mb 4mb 60", "pub/sub buffer", "warning", "16 MiB", "32mb 8mb 60"),
        ("client-output-buffer-limit pubsub 0 0 0", "pub/sub buffer", "warning", "no limit", "32mb 8mb 60"),
        ("save 900 1", "persistence", "warning", "snapshots only (every 900 s", "appendonly yes"),
        ("appendonly yes\nappendfsync no", "persistence", "warning", "half a minute", "appendfsync everysec"),
        ("timeout 20", "idle connections", "warning", "timeout 20 closes connections", "timeout 0"),
        ("tcp-keepalive 0", "idle connections", "warning", "never notices nodes", "tcp-keepalive 300"),
        ("min-replicas-to-write 1", "replication", "problem", "every write is refused", "min-replicas-to-write 0"),
        ("maxclients 1", "connections", "problem", "1 of 1 (maxclients)", "Raise maxclients"),
    ],
)
def test_a_bad_line_in_the_servers_configuration_is_found(
    line: str, check: str, level: str, sentence: str, remedy: str
) -> None:
    with Broker(config=line.split("\n")) as broker:
        seen = diagnose("--redis-url", broker.url)
    assert seen.level(check) == level, seen.output
    assert sentence in seen.says(check)
    assert remedy in seen.says(check)


def test_a_server_that_is_full_is_found_by_what_it_refuses() -> None:
    with Broker(config=["maxmemory 1kb", "maxmemory-policy noeviction"]) as broker:
        seen = diagnose("--redis-url", broker.url)
    assert seen.level("memory") == "problem"
    assert "OOM" in seen.says("rights")


def test_a_managed_server_without_config_is_no_failure() -> None:
    with Broker(append_only=True, config=[*GOOD, 'rename-command CONFIG ""']) as broker:
        seen = diagnose("--redis-url", broker.url)
    assert seen.worse_than_ok() == {"pub/sub buffer": "unknown", "idle connections": "unknown"}
    assert "cannot be looked at; it should be client-output-buffer-limit pubsub 32mb 8mb 60" in seen.says(
        "pub/sub buffer"
    )
    assert seen.exit_code == 0


def test_a_server_that_shows_nothing_of_itself_is_no_failure() -> None:
    hidden = ['rename-command CONFIG ""', 'rename-command INFO ""']
    with Broker(config=hidden) as broker:
        seen = diagnose("--redis-url", broker.url)
    assert set(seen.worse_than_ok().values()) == {"unknown"}
    assert seen.exit_code == 0


def test_a_replica_in_the_place_of_the_master_is_found() -> None:
    with Broker() as master, Broker(config=[f"replicaof {HOST} {master.port}"]) as replica:
        seen = diagnose("--redis-url", replica.url)
    assert f"this is a replica of {HOST}:{master.port}, which takes no writes" in seen.says("replication")
    assert "redis+sentinel://" in seen.says("replication")
    assert seen.exit_code == 1


def test_a_cluster_and_a_single_server_are_told_apart() -> None:
    with Broker(cluster=True) as member, Broker() as single:
        seen = diagnose("--redis-url", member.url)
        assert "redis+cluster://HOST:PORT" in seen.says("version")
        seen = diagnose("--redis-url", f"redis+cluster://{HOST}:{single.port}")
        assert "it is a single server, and the address names a Cluster" in seen.says("redis")


# Rights ---


@pytest.mark.parametrize(
    ("grants", "sentence", "remedy"),
    [
        ("+@all -xadd ~sse:* &sse:*", "may not use XADD", "ACL SETUSER app +xadd"),
        ("+@all -publish -subscribe ~sse:* &sse:*", "may not use PUBLISH, SUBSCRIBE", "+publish +subscribe"),
        ("+@all -@scripting ~sse:* &sse:*", "may not use EVAL", "ACL SETUSER app +eval"),
        ("+@all ~other:* &sse:*", "may not use", "ACL SETUSER app ~sse:*"),
        ("+@all ~sse:*", "may not use PUBLISH, SUBSCRIBE", "ACL SETUSER app &sse:*"),
        ("+@all -evalsha ~sse:* &sse:*", "may not use EVALSHA", "+evalsha"),
    ],
)
def test_a_missing_right_is_named_with_the_line_that_grants_it(grants: str, sentence: str, remedy: str) -> None:
    with Broker(config=[f"user app on >hush resetchannels {grants}"]) as broker:
        seen = diagnose("--redis-url", f"redis://app:hush@{HOST}:{broker.port}/0")
    assert seen.level("rights") == "problem"
    assert sentence in seen.says("rights")
    assert remedy in seen.says("rights")
    assert "hush" not in seen.output


def test_the_shortest_rule_for_a_cluster_is_enough_on_every_primary() -> None:
    with redis_cluster() as nodes:
        for number, node in enumerate(nodes):
            with redis.Redis(port=node.port, protocol=2) as client:
                rule = grants.rule(Role.NODE, "sse", cluster=True).split()
                without = [] if number == 0 else ["-spublish"]
                client.execute_command("ACL SETUSER", "app", "on", ">hush", "resetchannels", *rule, *without)
        seen = diagnose("--redis-url", cluster_url(nodes).replace("://", "://app:hush@"))
        assert OPEN in seen.says("default user")
        assert "may not use SPUBLISH" in seen.says("rights")
        assert f"[{HOST}:{nodes[1].port}]" in seen.says("rights")
        assert f"everything that nodes and publishers need on sse:* [{HOST}:{nodes[0].port}]" in seen.says("rights")


OPEN = "it has no password"
APP = f"user app on >hush resetchannels {grants.rule(Role.NODE, 'sse')}"


@pytest.mark.parametrize(
    ("config", "user", "level", "sentence"),
    [
        (
            [APP],
            "app:hush@",
            "problem",
            f"{OPEN}: whoever reaches the server may do more than app\nACL SETUSER default off",
        ),
        ([APP], "", "problem", f"{OPEN}, and this address uses it"),
        ([APP, "requirepass other"], "app:hush@", "ok", "nobody gets in without a password"),
        ([APP, "user default off"], "app:hush@", "ok", "nobody gets in without a password"),
        ([APP, "user default on nopass -@all +ping"], "app:hush@", "ok", "nobody gets in without a password"),
        (["requirepass other"], ":other@", "ok", "nobody gets in without a password"),
        ([], "", None, ""),
    ],
)
def test_a_user_without_a_password_beside_others_is_found(
    config: list[str], user: str, level: str | None, sentence: str
) -> None:
    with Broker(config=config) as broker:
        seen = diagnose("--redis-url", f"redis://{user}{HOST}:{broker.port}/0")
    found = [row for row in seen.findings if row["check"] == "default user"]
    assert [row["level"] for row in found] == [level] * (level is not None), seen.output
    assert level is None or sentence in seen.says("default user")
    assert "hush" not in seen.output


# Sentinel and Cluster ---


def test_a_cluster_is_looked_at_as_a_whole_and_every_primary_by_itself() -> None:
    with redis_cluster() as nodes:
        with redis.Redis(port=nodes[1].port, protocol=2) as client:
            client.config_set("tcp-keepalive", 0)
        seen = diagnose("--redis-url", cluster_url(nodes))
        assert "2 primaries have 0 replicas" in seen.says("cluster")
        assert "tcp-keepalive 0: the server never notices nodes that have vanished" in seen.says("idle connections")
        assert f"[{HOST}:{nodes[1].port}]" in seen.says("idle connections")
        assert seen.exit_code == 0
        with redis.Redis(port=nodes[0].port, protocol=2) as client:
            client.execute_command("CLUSTER DELSLOTSRANGE", 0, 99)
            seen = diagnose("--redis-url", cluster_url(nodes))
    assert "16284 of 16384 slots are served" in seen.says("cluster")
    assert seen.exit_code == 1


def sentinel(master: Broker, quorum: int = 1) -> Broker:
    return Broker(sentinel=True, config=[f"sentinel monitor main {HOST} {master.port} {quorum}"])


def test_a_lonely_sentinel_is_warned_of_and_its_master_is_found() -> None:
    with Broker() as master, sentinel(master) as scout:
        seen = diagnose("--redis-url", f"redis+sentinel://{HOST}:{scout.port},{HOST}:1/main/0")
        assert "1 Sentinel for main: when one machine fails" in seen.says("sentinel")
        assert f"{HOST}:1 does not answer" in seen.says("sentinel")
        assert "a master without a replica" in seen.says("replication")
        assert seen.exit_code == 0
        seen = diagnose("--redis-url", f"redis+sentinel://{HOST}:{scout.port}/other/0")
        assert "does not know the service other" in seen.says("sentinel")
        assert seen.exit_code == 1
        assert "this is a Sentinel" in diagnose("--redis-url", scout.url).says("version")


def test_a_quorum_that_cannot_be_reached_is_found() -> None:
    with Broker(config=[APP]) as master, sentinel(master, quorum=2) as scout:
        seen = diagnose("--redis-url", f"redis+sentinel://{HOST}:{scout.port}/main/0")
    assert "no failover of main is possible now" in seen.says("sentinel")
    assert seen.level("sentinel") == "problem"
    assert OPEN in seen.says("default user")


def others(scout: Any) -> int:
    return int(scout.sentinel_master("main")["num-other-sentinels"])


def test_three_sentinels_that_agree_are_fine() -> None:
    with Broker() as master, sentinel(master, 2) as a, sentinel(master, 2) as b, sentinel(master, 2) as c:
        scouts = [redis.Redis(port=each.port, protocol=2) for each in (a, b, c)]
        # They hear of each other through the master, every two seconds.
        wait_until(lambda: all(others(scout) == 2 for scout in scouts), "the Sentinels to meet")
        for scout in scouts:
            scout.close()
        hosts = ",".join(f"{HOST}:{each.port}" for each in (a, b, c))
        seen = diagnose("--redis-url", f"redis+sentinel://{hosts}/main/0")
    assert f"3 Sentinels agree on the master {HOST}:{master.port}" in seen.says("sentinel")
