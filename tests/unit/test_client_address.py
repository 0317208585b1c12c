"""Which addresses are one caller, and which ones are the node's own proxies."""

from __future__ import annotations

import pytest

from gateway.auth.client_address import TrustedProxies, caller_of, plain, without_port
from gateway.http.forwarded import scheme_of, values
from gateway.http.hosts import is_allowed


@pytest.mark.parametrize(
    ("host", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
        ("a:b", "a:b"),
    ],
)
def test_an_ipv6_network_of_64_bits_is_one_caller(host: str, caller: str) -> None:
    assert caller_of(host) == caller


def test_an_ipv4_address_on_an_ipv6_socket_is_that_address() -> None:
    assert plain("::ffff:127.0.0.1") == "127.0.0.1"
    assert plain("::ffff:nonsense") == "::ffff:nonsense"
    assert "::ffff:127.0.0.1" in TrustedProxies(["127.0.0.1"])
    assert "::ffff:10.1.2.3" in TrustedProxies(["10.0.0.0/8"])


@pytest.mark.parametrize("host", ["128.0.0.1", "::1", "", "x" * 1000, "127.0.0.1, 127.0.0.1", "127.0.0.1:80"])
def test_others_are_not_trusted(host: str) -> None:
    assert host not in TrustedProxies(["127.0.0.1", "10.0.0.0/8"])


def test_the_client_is_the_last_address_that_is_no_proxy() -> None:
    proxies = TrustedProxies(["10.0.0.0/8"])
    assert proxies.client(["6.6.6.6", "192.0.2.7", "10.0.0.1"]) == 1
    assert proxies.client(["10.0.0.2", "10.0.0.1"]) == 0
    assert TrustedProxies(["*"]).client(["6.6.6.6", "192.0.2.7"]) == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:443", "192.0.2.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        (" ::ffff:192.0.2.7", "192.0.2.7"),
    ],
)
def test_an_address_may_stand_with_its_port(text: str, address: str) -> None:
    assert without_port(text) == address


@pytest.mark.parametrize(
    ("line", "index", "scheme"),
    [
        (b"https", 0, "https"),
        (b"HTTPS", 0, "https"),
        (b"https,http", 0, "https"),
        (b"https, http", 1, "http"),
        (b"wss", 0, "https"),
        (b"gopher", 0, None),
        (b"", 0, None),
    ],
)
def test_the_scheme_is_that_of_the_client(line: bytes, index: int, scheme: str | None) -> None:
    assert scheme_of(values([(b"x-forwarded-proto", line)], b"x-forwarded-proto"), index) == scheme


@pytest.mark.parametrize("host", ["app.example.com", "APP.example.com:8443", "x.wild.org", "[::1]:80", "b.org:81"])
def test_a_listed_name_is_allowed(host: str) -> None:
    assert is_allowed(host, ("app.example.com", "*.wild.org", "[::1]", "b.org:81"))


@pytest.mark.parametrize(
    "host", ["", "example.com", "b.org", "b.org:82", "wild.org", "xwild.org", "app.example.com:x", "app.example.com@b"]
)
def test_any_other_name_is_not(host: str) -> None:
    assert not is_allowed(host, ("app.example.com", "*.wild.org", "[::1]", "b.org:81"))
