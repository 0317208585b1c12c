"""``sse-gateway dev`` and the pages of other sites that its developer happens to visit."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.commands import Running
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.raw_peer import RawPeer

JSON = {"Content-Type": "application/json"}
FOREIGN = {"Origin": "http://evil.example"}
JOBS = [
    ("/dev/jobs", b'{"kind":"character"}'),
    ("/api/generation", b'{"prompt":"a cat"}'),
    ("/api/v1/characters/queue", b"{}"),
    ("/api/chat", b'{"id":"c","messages":[{}]}'),
]
NOTICE = b'{"broadcast":true,"event":"note","payload":1}'
ODD = ["a{b.evil.example", "a}b.evil.example", "a`b.evil.example", 'a"b.evil.example', "", "["]
ODD += ["127.0.0.1@evil.example", "localhost.evil.example", "evil.example"]
LOCAL = ["localhost", "x.localhost", "127.0.0.1:{port}", "[::1]:{port}"]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with Running.command("dev", "--port", "0") as running:
        found = re.search(r"runs at (http://\S+)\n", running.wait_for("Ctrl-C ends it."))
        assert found is not None
        yield found[1]
        assert running.end() == 0


async def status(base: str, path: str, host: str | None, version: str = "1.1") -> int:
    name = "" if host is None else f"Host: {host}\r\n"
    asked = f"GET {path} HTTP/{version}\r\n{name}Connection: close\r\n\r\n".encode()
    async with await RawPeer.ask(base, asked) as peer:
        return int((await peer.read_to_end()).split(b" ", 2)[1])


@pytest.mark.parametrize("path", ["/dev/token?sub=ann", "/dev/lab"])
async def test_what_only_dev_offers_is_refused_under_every_name_that_is_not_local(base: str, path: str) -> None:
    port = base.rpartition(":")[2]
    hosts = [*ODD, *[f"{host}:{port}" for host in ODD]]
    assert {host: await status(base, path, host) for host in hosts} == dict.fromkeys(hosts, 403)
    assert await status(base, path, None, "1.0") == 403
    local = [host.format(port=port) for host in LOCAL]
    assert {host: await status(base, path, host) for host in local} == dict.fromkeys(local, 200)


@pytest.mark.parametrize(("path", "body"), JOBS)
async def test_a_foreign_page_starts_no_jobs(base: str, path: str, body: bytes) -> None:
    refused = await request(base, path, method="POST", headers={**JSON, **FOREIGN}, body=body)
    assert refused.status == 403
    for own in ({}, {"Origin": base}):
        assert (await request(base, path, method="POST", headers={**JSON, **own}, body=body)).status in (200, 201, 303)


async def test_a_page_whose_name_was_made_to_point_here_may_nothing_that_dev_allows_everybody(base: str) -> None:
    name = f"evil.example:{base.rpartition(':')[2]}"
    headers = {**JSON, "Host": name, "Origin": f"http://{name}"}
    assert (await request(base, "/api/sse/notify", method="POST", headers=headers, body=NOTICE)).status == 403
    assert (await request(base, "/api/sse/metrics", headers=headers)).status == 403
    assert (await request(base, "/api/sse/notify", method="POST", headers=JSON, body=NOTICE)).status == 200
    assert (await request(base, "/api/sse/metrics")).status == 200


@pytest.mark.parametrize("origin", ["null", "http://localhost:3999", "https://127.0.0.1", "http://[::1]:5173"])
async def test_pages_from_a_file_or_of_this_machine_may_read_and_no_more(base: str, origin: str) -> None:
    headers = {"Origin": origin}
    async with EventSource(base, "/v1/events?channel=topic:news", headers=headers) as stream:
        await stream.opened()
        assert stream.response_headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in stream.response_headers
    asked = {**headers, "Access-Control-Request-Headers": "authorization"}
    for method, status in (("GET", 200), ("POST", 400)):
        answer = await request(
            base, "/v1/jobs", method="OPTIONS", headers={**asked, "Access-Control-Request-Method": method}
        )
        assert answer.status == status
    for path in ("/dev/token", "/dev/lab"):
        assert "access-control-allow-origin" not in (await request(base, path, headers=headers)).headers


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://1270.0.0.1"],
)
async def test_pages_of_other_sites_may_not_read(base: str, origin: str) -> None:
    answer = await request(base, "/api/sse/metrics", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers
