"""``sse-gateway doctor`` about the machine it runs on, its settings and its keys."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.support.commands import environment
from tests.support.doctor import HEALTHY, diagnose, parse
from tests.support.key_server import KeyServer
from tests.support.node import ROOT
from tests.support.tokens import SECRET, key_pair


def test_too_few_file_descriptors_are_found(redis_url: str) -> None:
    command = ["sh", "-c", 'ulimit -n 256; exec "$0" -m gateway doctor --json --redis-url "$1"', sys.executable]
    done = subprocess.run(
        [*command, redis_url],
        cwd=ROOT,
        env=environment({**HEALTHY, "MAX_CONNECTIONS": 5000}),
        capture_output=True,
        text=True,
        timeout=30,
    )
    seen = parse(done)
    assert "256 are too few for 5000 streams" in seen.says("file descriptors")
    assert "ulimit -n 6100" in seen.says("file descriptors")
    assert seen.exit_code == 1


def test_the_clock_of_a_server_on_this_machine_is_ours(redis_url: str) -> None:
    assert diagnose("--redis-url", redis_url).level("clock") == "ok"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"JWT_KEY": "hush-hush"}, "shorter than 32 bytes"),
        ({"JWT_KEY": "hush" * 20}, "it repeats itself"),
        ({"JWT_KEY": SECRET, "JWT_ALGORITHMS": "HS512"}, "shorter than the 64 bytes that HS512 asks for"),
        ({"JWT_KEY": None}, "none is configured"),
    ],
)
def test_a_weak_key_is_found_and_not_repeated(redis_url: str, settings: dict[str, object], sentence: str) -> None:
    seen = diagnose("--redis-url", redis_url, **settings)
    assert sentence in seen.says("token key")
    assert seen.level("token key") in ("problem", "warning")
    assert "hush" not in seen.output


def test_a_public_key_is_strong_enough(redis_url: str) -> None:
    seen = diagnose("--redis-url", redis_url, JWT_KEY=key_pair().public, JWT_ALGORITHMS="RS256")
    assert seen.level("token key") == "ok"


def test_a_key_set_is_fetched_and_has_to_fit(redis_url: str) -> None:
    with KeyServer(one=key_pair("ES256")) as server:
        settings: dict[str, Any] = {"JWT_KEY": None, "JWKS_URL": server.url}
        fits = diagnose("--redis-url", redis_url, JWT_ALGORITHMS="ES256", **settings)
        other = diagnose("--redis-url", redis_url, JWT_ALGORITHMS="RS256", **settings)
        server.status = 503
        down = diagnose("--redis-url", redis_url, JWT_ALGORITHMS="ES256", **settings)
    assert "1 of 1 keys verify ES256" in fits.says("key set")
    assert "they fit ES256" in other.says("key set")
    assert "the endpoint answered 503" in down.says("key set")
    assert (fits.level("key set"), other.exit_code, down.exit_code) == ("ok", 1, 1)


def test_all_problems_of_the_settings_are_told_and_the_rest_is_looked_at(redis_url: str) -> None:
    seen = diagnose(
        *("--redis-url", redis_url),
        HEARTBEATS="15",
        ANONYMOUS="hush",
        QUEUE_BYTES=20_000,
        JWKS_URL="http://127.0.0.1/",
    )
    told = seen.says("settings")
    assert "GATEWAY_HEARTBEATS is not a setting; did you mean GATEWAY_HEARTBEAT_S?" in told
    assert "GATEWAY_ANONYMOUS must be deny or read." in told
    assert "GATEWAY_QUEUE_BYTES is less than GATEWAY_MAX_EVENT_BYTES" in told
    assert "GATEWAY_JWT_KEY and GATEWAY_JWKS_URL are set together" in told
    assert seen.level("pub/sub") == "ok"
    assert seen.exit_code == 1
    assert "hush" not in seen.output


def test_legal_but_unwise_settings_are_warned_of(redis_url: str) -> None:
    seen = diagnose(
        *("--redis-url", redis_url),
        HEARTBEAT_S=90,
        QUERY_TOKENS="true",
        JWT_REQUIRE_EXP="false",
        JWT_REQUIRE_SUB="false",
        TRUSTED_PROXIES="*",
    )
    told = seen.says("settings")
    names = (
        *("HEARTBEAT_S=90", "QUERY_TOKENS=true", "JWT_REQUIRE_EXP=false", "JWT_REQUIRE_SUB=false"),
        "TRUSTED_PROXIES=*",
    )
    assert all(f"GATEWAY_{name}" in told for name in names)
    assert {row["level"] for row in seen.findings if row["check"] == "settings"} == {"warning"}
