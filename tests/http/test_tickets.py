"""Tickets: what they open, who may have them made."""

from __future__ import annotations

import time

import pytest

from publisher import Publisher
from tests.http.api import Api
from tests.support.tokens import token


async def test_a_ticket_reads_exactly_its_channels(api: Api, publisher: Publisher, name: str) -> None:
    for suffix in ("a", "b"):
        publisher.create_job(f"{name}-{suffix}", kind="k", owner=name)
    minted = await api.call("POST", "/v1/tickets", {"channels": [f"job:{name}-a"]}, sub=name)
    assert minted.status == 200
    assert minted.json["channels"] == [f"job:{name}-a"]
    ticket = minted.json["ticket"]
    assert (await api.call("GET", f"/v1/jobs/{name}-a?ticket={ticket}")).status == 200
    assert (await api.call("GET", f"/v1/jobs/{name}-b?ticket={ticket}")).status == 404
    assert (await api.call("GET", f"/v1/jobs?ticket={ticket}")).status == 403


async def test_a_ticket_writes_nothing(api: Api, publisher: Publisher, name: str) -> None:
    publisher.create_job(name, kind="k", owner=name)
    ticket = (await api.call("POST", "/v1/tickets", {"channels": [f"job:{name}"]}, scope="admin")).json["ticket"]
    event = {"channel": "broadcast", "type": "t", "data": 1}
    assert (await api.call("POST", f"/v1/jobs/{name}/cancel?ticket={ticket}")).status == 404
    assert (await api.call("POST", f"/v1/events?ticket={ticket}", event)).status == 403
    assert (await api.call("POST", f"/v1/tickets?ticket={ticket}", {"channels": [f"job:{name}"]})).status == 403


async def test_a_ticket_lasts_a_quarter_of_an_hour(api: Api) -> None:
    before = int(time.time())
    minted = await api.call("POST", "/v1/tickets", {"channels": ["client:ann"]}, sub="ann", headers=_bearer(3600))
    assert before + 900 <= minted.json["expires_at"] <= int(time.time()) + 900


async def test_a_ticket_never_outlives_the_callers_token(api: Api) -> None:
    before = int(time.time())
    minted = await api.call("POST", "/v1/tickets", {"channels": ["client:ann"]}, headers=_bearer(60))
    assert before + 60 <= minted.json["expires_at"] <= int(time.time()) + 60


def _bearer(ttl_s: float) -> dict[str, str]:
    return {"Authorization": f"Bearer {token('ann', ttl_s=ttl_s)}"}


async def test_a_ticket_is_for_callers_who_may_read(api: Api, publisher: Publisher, name: str) -> None:
    publisher.create_job(name, kind="k", owner="ann")
    for channel, status in (
        ("client:ann", 403),
        ("user:ann", 403),
        ("topic:news", 403),
        (f"job:{name}", 404),
        (f"job:{name}-missing", 404),
        ("broadcast", 200),
        ("client:eve", 200),
    ):
        answer = await api.call("POST", "/v1/tickets", {"channels": [channel]}, sub="eve")
        assert answer.status == status, channel


async def test_a_missing_job_and_a_foreign_one_get_the_same_refusal(api: Api, publisher: Publisher, name: str) -> None:
    publisher.create_job(name, kind="k", owner="ann")
    foreign, missing = [
        await api.call("POST", "/v1/tickets", {"channels": [f"job:{name}{suffix}"]}, sub="eve") for suffix in ("", "-x")
    ]
    assert foreign.json == missing.json


async def test_nobody_gets_no_ticket(api: Api) -> None:
    answer = await api.call("POST", "/v1/tickets", {"channels": ["broadcast"]})
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channels": []},
        {"channels": "broadcast"},
        {"channels": ["broadcast"] * 33},
        {"channels": [None]},
        {"channels": ["job:a b"]},
        {"channels": ["broadcast"], "ttl": 5},
        [],
    ],
)
async def test_a_bad_wish_is_refused_with_a_sentence(api: Api, body: object) -> None:
    answer = await api.call("POST", "/v1/tickets", body, sub="ann")
    assert answer.status == 400
    assert answer.code == "bad_request"
    assert answer.sentence.endswith(".")
