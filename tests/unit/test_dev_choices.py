"""What ``dev`` chooses where nobody else does, and what it says."""

from __future__ import annotations

import pytest

from gateway.commands.dev import DEFAULTS, environment, is_loopback
from gateway.demo.banner import Paint, banner
from gateway.settings.settings import Settings


def test_a_key_is_made_anew_at_each_start_and_serves() -> None:
    first, second = (Settings.from_env(environment({}, 8000)) for _ in range(2))
    first.check_serving()
    assert first.anonymous_reading
    assert first.token_key != second.token_key
    assert len(first.token_key or "") >= 32


def test_what_the_environment_says_counts() -> None:
    chosen = environment({"GATEWAY_ANONYMOUS": "deny", "GATEWAY_JWT_KEY": "my own", "PATH": "/bin"}, 8000)
    assert chosen["GATEWAY_ANONYMOUS"] == "deny"
    assert chosen["GATEWAY_JWT_KEY"] == "my own"
    assert chosen["GATEWAY_DRAIN_S"] == DEFAULTS["GATEWAY_DRAIN_S"]


def test_the_two_names_of_the_node_may_read_each_others_answers() -> None:
    origins = Settings.from_env(environment({}, 8123)).cors_origins
    assert {"http://localhost:8123", "http://127.0.0.1:8123", "http://localhost:5173"} <= set(origins)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("fe80::1%lo", False)],
)
def test_only_loopback_addresses_are_out_of_others_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("on", [True, False])
def test_colours_are_for_terminals_only(on: bool) -> None:
    text = banner(
        "http://127.0.0.1:8000",
        "redis://127.0.0.1:6379/0",
        version="1",
        pages=[("/", "here")],
        program="sse-gateway",
        demo=True,
        anonymous=True,
        paint=Paint(on),
    )
    assert ("\x1b[" in text) is on
    assert "  curl -N -L -d kind=character http://127.0.0.1:8000/dev/watch\n" in text
