"""Ids that try to be paths, patterns, keys or somebody else: each is one plain name, or refused."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import pytest

from publisher import Publisher
from tests.http.api import Api
from tests.support.eventsource import EventSource
from tests.support.http1 import request
from tests.support.tokens import token

MARKER = "for-ann-alone"
PATHS = [
    "/v1/jobs/{id}",
    "/v1/jobs/{id}/events",
    "/api/v1/sse/jobs/character/{id}",
    "/api/generation?sessionId={id}",
    "/api/v1/status/tasks/{id}/stream",
    "/jobs/{id}/stream",
    "/v1/events?channel=job:{id}",
    "/v1/events?channel={id}",
    "/v1/clients/{id}/events",
    "/api/sse/subscribe/{id}",
]
# What somebody may write for a name of ann's, already encoded for a URL; {} is the name.
DISGUISES = [
    "x%2f..%2f{}",
    "..%2f..%2fv1%2fjobs%2f{}",
    "%2e%2e%2fjobs%2f{}",
    "%2e/{}",
    "x/../{}",
    "./{}",
    "//{}",
    "%252e%252e%252f{}",
    "{}%00",
    "%00{}",
    "{}%0d%0aX-Injected:%201",
    "{}%0a",
    "{}%20",
    "%20{}",
    "{}%09",
    "{}%c2%a0",
    "{}%e2%80%8b",
    "{}%cc%81",
    "{}%2f",
    "{}%3f",
    "{}%23",
    "{};a=b",
    "{}%3astate",
    "{}%7d%3astate",
    "%7bjob%3a{}%7d",
    "job%3a{}",
    "job:{}",
    "user:{}",
    "{}%2cbroadcast",
    "*",
    "{}*",
    "*{}",
    "%5ba-z%5d*",
    "?{}",
    "%3f{}",
    "{}%5c",
    "{}%ff",
    "{}%ed%a0%80",
]


@pytest.mark.parametrize("disguise", DISGUISES)
async def test_no_spelling_of_an_id_opens_somebody_elses_job(
    api: Api, publisher: Publisher, name: str, disguise: str
) -> None:
    """On no path, and nothing is made of it but the one answer that everything foreign gets."""
    publisher.create_job(name, kind="character", owner="ann", meta={"note": MARKER})
    disguised = disguise.replace("{}", name)
    headers = {"Authorization": f"Bearer {token('eve', channels=['broadcast'])}"}
    asked = [request(api.base, path.replace("{id}", disguised), headers=headers) for path in PATHS]
    for path, got in zip(PATHS, await asyncio.gather(*asked), strict=True):
        assert got.status in (400, 403, 404), (path, got.status)
        assert MARKER.encode() not in got.body
        assert "x-injected" not in got.headers
        assert json.loads(got.body)["error"]["message"].endswith(".")
    got = await request(api.base, f"/v1/jobs/{disguised}/cancel", method="POST", headers=headers)
    assert got.status in (400, 404)
    job = publisher.get_job(name)
    assert job is not None and job.status == "pending"


@pytest.mark.parametrize("disguise", ["upper case", "wide letters", "accent"])
async def test_a_subject_that_looks_like_another_is_another(
    api: Api, publisher: Publisher, name: str, disguise: str
) -> None:
    twin = {"upper case": name.upper(), "wide letters": name.replace("n", "\uff4e"), "accent": name + "\u0301"}[
        disguise
    ]
    publisher.create_job(name, kind="k", owner=name)
    assert (await api.call("GET", f"/v1/jobs/{name}", sub=name)).status == 200
    assert (await api.call("GET", f"/v1/jobs/{name}", sub=twin)).status == 404
    assert (await api.call("GET", "/v1/jobs", sub=twin)).json["jobs"] == []
    headers = {"Authorization": f"Bearer {token(twin)}"}
    assert (await request(api.base, f"/v1/clients/{name}/events", headers=headers)).status == 403


@pytest.mark.parametrize("pattern", ["*", "?*", "[a-z]*", "n-*", "\\*", "^", ".*", "%"])
async def test_a_name_like_a_pattern_is_only_that_name(api: Api, publisher: Publisher, name: str, pattern: str) -> None:
    """For publishing, for tickets, for reading and for sending away."""
    async with (
        EventSource(api.base, f"/v1/clients/{name}/events", token=token(name)) as other,
        EventSource(api.base, f"/v1/clients/{quote(pattern)}/events", token=token(pattern)) as named,
    ):
        await other.next_of_type("stream.open")
        await named.next_of_type("stream.open")
        event = {"channel": f"client:{pattern}", "type": "hello", "data": 1}
        assert (await api.publisher("POST", "/v1/events", event)).status == 200
        await named.next_of_type("hello")
        gone = await api.call("DELETE", f"/v1/clients/{quote(pattern, safe='')}", scope="admin")
        assert gone.json["disconnected"] == 1
        await named.next_of_type("stream.close")
        publisher.send(name, "still-here", 1)
        assert (await other.next_event()).type == "still-here"
    minted = await api.call("POST", "/v1/tickets", {"channels": [f"client:{pattern}"]}, sub=pattern)
    query = f"ticket={minted.json['ticket']}"
    assert (await request(api.base, f"/v1/events?channel=client:{name}&{query}")).status == 403
    assert (await api.call("GET", f"/v1/jobs?{query}")).status == 403


@pytest.mark.parametrize(
    "channel",
    [
        "gateway",
        "gateway}:revoked",
        "{gateway}",
        "job:x}:state",
        "job:{x}",
        "JOB:x",
        "job:",
        "job",
        " broadcast",
        "broadcast\n",
        "broadcast:x",
        "topic:a\r\nevent: b",
        "topic:a\x00",
        "topic:\u200b",
        "topic:\u2028",
        "Client:ann",
        "client\u003aann b",
        "",
    ],
)
async def test_nothing_is_published_under_a_name_that_is_no_channel(api: Api, channel: str) -> None:
    event = {"channel": channel, "type": "t", "data": 1}
    answer = await api.publisher("POST", "/v1/events", event)
    assert answer.status == 400
    ticket = await api.call("POST", "/v1/tickets", {"channels": [channel]}, scope="admin")
    assert ticket.status == 400


@pytest.mark.parametrize("type_", ["t\ndata: x", "t\r", "t\x00", "a b", "", "job.completed", "stream.close\n\n", "ü"])
async def test_no_type_breaks_out_of_its_line_or_speaks_for_a_job(api: Api, name: str, type_: str) -> None:
    event = {"channel": f"job:{name}", "type": type_, "data": 1}
    assert (await api.publisher("POST", "/v1/events", event)).status == 400
    told = {"clientId": name, "event": type_, "payload": 1}
    assert (await api.publisher("POST", "/api/sse/notify", told)).status == 400


async def test_head_tells_nothing_about_a_job(api: Api, publisher: Publisher, name: str) -> None:
    """A stream's HEAD is answered before anybody looks at the job: alike for one's own, a foreign and no job."""
    publisher.create_job(name, kind="character", owner="ann")
    for path in PATHS[1:7]:
        told = set()
        for who, job_id in (("ann", name), ("eve", name), ("eve", f"{name}-missing")):
            headers = {"Authorization": f"Bearer {token(who)}"}
            got = await request(api.base, path.replace("{id}", job_id), method="HEAD", headers=headers)
            told.add((got.status, tuple(sorted(got.headers))))
        assert len(told) == 1, path
    foreign = await api.call("HEAD", f"/v1/jobs/{name}", sub="eve")
    missing = await api.call("HEAD", f"/v1/jobs/{name}-missing", sub="eve")
    assert (foreign.status, foreign.headers["content-length"]) == (missing.status, missing.headers["content-length"])
