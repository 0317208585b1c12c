"""The calls about the whole cluster, on a real node with streams open."""

from __future__ import annotations

import pytest

from gateway.version import version
from tests.http.api import Api
from tests.support.eventsource import EventSource
from tests.support.tokens import token


async def test_a_connected_client_is_listed_counted_and_sent_away(api: Api, name: str) -> None:
    async with EventSource(api.base, f"/v1/clients/{name}/events", token=token(name)) as stream:
        await stream.next_event()
        listed = await api.call("GET", "/v1/clients?limit=1000", scope="stats")
        [mine] = [each for each in listed.json["clients"] if each["client_id"] == name]
        assert (mine["connections"], len(mine["nodes"])) == (1, 1)
        stats = (await api.call("GET", "/v1/stats", scope="stats")).json
        assert [(each["version"], each["draining"]) for each in stats["nodes"]] == [(version(), False)]
        assert stats["totals"]["clients"] >= 1
        gone = await api.call("DELETE", f"/v1/clients/{name}", scope="admin")
        assert gone.json == {"client_id": name, "disconnected": 1, "revoked": False}
        closing = await stream.next_of_type("stream.close")
        assert '"reconnect":false' in closing.data


async def test_a_revoked_client_does_not_get_in_with_the_token_it_has(api: Api, name: str) -> None:
    old = {"Authorization": f"Bearer {token(name)}"}
    assert (await api.call("GET", "/v1/jobs", headers=old)).status == 200
    revoked = await api.call("DELETE", f"/v1/clients/{name}?revoke=true", scope="admin")
    assert revoked.json["revoked"] is True
    assert (await api.call("GET", "/v1/jobs", headers=old)).status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/clients?limit=0"),
        ("GET", "/v1/clients?limit=1001"),
        ("GET", "/v1/clients?cursor=a%20b"),
        ("DELETE", "/v1/clients/a%00b"),
        ("DELETE", "/v1/clients/ann?revoke=yes"),
    ],
)
async def test_bad_parameters_are_refused_with_a_sentence(api: Api, method: str, path: str) -> None:
    answer = await api.call(method, path, scope="admin")
    assert answer.status == 400
    assert answer.sentence.endswith(".")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [("GET", "/v1/stats", "publish"), ("GET", "/v1/clients", "publish"), ("DELETE", "/v1/clients/ann", "stats")],
)
async def test_each_call_needs_its_scope(api: Api, method: str, path: str, scope: str) -> None:
    assert (await api.call(method, path)).status == 401
    assert (await api.call(method, path, scope=scope)).status == 403
