"""Which names of a ``Host`` header no other site can have."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from gateway.auth.same_site import require_local_name
from gateway.exceptions import Forbidden

FOREIGN = ["a{b.evil.example:80", "a}b", "a`b", 'a"b', "", "[", "[]", "127.0.0.1@evil.example", "evil.example"]
FOREIGN += [
    "localhost.evil.example",
    "evillocalhost",
    "localhost\n",
    "localhost:",
    "127.0.0.1.evil.example",
    "[::1]evil",
]


def asked(*hosts: str) -> Request:
    return Request({"type": "http", "headers": [(b"host", host.encode()) for host in hosts]})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "x.localhost", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_a_local_name_passes(host: str) -> None:
    require_local_name(asked(host))


@pytest.mark.parametrize("hosts", [*[(host,) for host in FOREIGN], (), ("localhost", "localhost")])
def test_every_other_name_is_refused(hosts: tuple[str, ...]) -> None:
    with pytest.raises(Forbidden):
        require_local_name(asked(*hosts))
