"""A browser adds its cookie to what pages of other sites ask for; such calls must not change anything."""

from __future__ import annotations

import pytest

from tests.http.api import Api
from tests.support.tokens import token

CALLS = [
    ("POST", "/v1/jobs", {"job_id": "c", "kind": "k"}),
    ("PATCH", "/v1/jobs/c", {"progress": 1}),
    ("POST", "/v1/jobs/c/cancel", None),
    ("POST", "/v1/events", {"channel": "topic:c", "type": "t", "data": 1}),
    ("POST", "/v1/tickets", {"channels": ["broadcast"]}),
]


def _cookie(**more: str) -> dict[str, str]:
    return {"Cookie": f"sse_token={token('root', scope='admin')}", **more}


@pytest.mark.parametrize(("method", "path", "data"), CALLS)
@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1"])
async def test_a_cookie_from_another_page_changes_nothing(
    api: Api, method: str, path: str, data: object, origin: str | None
) -> None:
    headers = _cookie() if origin is None else _cookie(Origin=origin)
    assert (await api.call(method, path, data, headers=headers)).status == 403


@pytest.mark.parametrize(("method", "path", "data"), CALLS)
async def test_a_cookie_from_the_nodes_own_page_counts(api: Api, method: str, path: str, data: object) -> None:
    answer = await api.call(method, path, data, headers=_cookie(Origin=api.base))
    assert answer.status in (200, 201, 404, 409)


async def test_a_cookie_may_read(api: Api) -> None:
    assert (await api.call("GET", "/v1/jobs", headers=_cookie())).status == 200
