"""The calls about jobs, on a real node with a real worker beside it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import redis

from publisher import JobCancelled, Publisher
from tests.http.api import Api
from tests.support.broker import Broker
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import token


async def test_a_created_job_is_pending_and_says_where_it_is(api: Api, name: str) -> None:
    new = {"job_id": name, "kind": "character", "owner": "ann", "meta": {"provider_id": "p"}}
    created = await api.publisher("POST", "/v1/jobs", new)
    assert created.status == 201
    assert created.headers["location"] == f"/v1/jobs/{name}"
    assert created.json["status"] == "pending"
    assert created.json["meta"] == {"provider_id": "p"}
    assert (await api.call("GET", f"/v1/jobs/{name}", sub="ann")).json == created.json


async def test_an_id_with_a_slash_is_one_segment_of_the_path(api: Api, name: str) -> None:
    created = await api.publisher("POST", "/v1/jobs", {"job_id": f"a/{name}/é", "kind": "k"})
    assert created.headers["location"] == f"/v1/jobs/a%2F{name}%2F%C3%A9"
    read = await api.call("GET", created.headers["location"], sub="ann")
    assert read.json["job_id"] == f"a/{name}/é"


async def test_a_second_job_with_the_same_id_is_a_conflict(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    again = await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    assert again.status == 409
    assert again.sentence == f"There is a job {name} already; use another id."


async def test_a_report_starts_a_pending_job_and_keeps_what_it_does_not_name(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    await api.publisher("PATCH", f"/v1/jobs/{name}", {"progress": 10, "stage": "render", "message": "Painting"})
    job = (await api.publisher("PATCH", f"/v1/jobs/{name}", {"progress": 20.5, "current": 2, "total": 10})).json
    assert (job["status"], job["progress"], job["stage"], job["message"]) == ("active", 20.5, "render", "Painting")
    assert (job["current"], job["total"]) == (2, 10)
    assert job["started_at"] >= job["created_at"]


async def test_an_items_id_may_be_any_files_name(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "media"})
    for item_id in ("IMG 0001.png", "a, b.csv", "{x}: y", " "):
        answer = await api.publisher("PATCH", f"/v1/jobs/{name}", {"item": {"item_id": item_id, "status": "done"}})
        assert answer.json["items"][-1]["item_id"] == item_id
    answer = await api.publisher("PATCH", f"/v1/jobs/{name}", {"item": {"item_id": "a\nb"}})
    assert answer.status == 400
    assert "control characters" in answer.json["error"]["message"]


async def test_an_item_is_one_of_the_jobs_files(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    item = {"item_id": "f1", "filename": "a.png", "status": "processing", "progress": 5}
    job = (await api.publisher("PATCH", f"/v1/jobs/{name}", {"item": item})).json
    assert job["items"] == [{**item, "message": None}]


async def test_a_completed_job_has_its_result_and_takes_no_more_reports(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    ended = await api.publisher("PATCH", f"/v1/jobs/{name}", {"status": "completed", "result": {"id": [1, "ü"]}})
    assert ended.json["result"] == {"id": [1, "ü"]}
    assert ended.json["progress"] == 100
    late = await api.publisher("PATCH", f"/v1/jobs/{name}", {"progress": 10})
    assert late.status == 409
    assert "completed" in late.sentence


async def test_a_failed_job_says_why(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    error = {"message": "No GPU left.", "code": "gpu", "details": [1]}
    ended = await api.publisher("PATCH", f"/v1/jobs/{name}", {"status": "failed", "error": error})
    assert ended.json["error"] == error


async def test_a_report_on_a_missing_job_names_the_remedy(api: Api, name: str) -> None:
    answer = await api.publisher("PATCH", f"/v1/jobs/{name}", {"progress": 1})
    assert answer.status == 404
    assert "POST /v1/jobs" in answer.sentence


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("POST", "/v1/jobs", {"job_id": "x", "kind": "k"}),
        ("PATCH", "/v1/jobs/x", {"progress": 1}),
        ("POST", "/v1/events", {"channel": "broadcast", "type": "t", "data": 1}),
    ],
)
@pytest.mark.parametrize(("scope", "status"), [(None, 403), ("stats", 403), ("admin", None)])
async def test_writing_needs_the_scope(
    api: Api, method: str, path: str, data: object, scope: str | None, status: int | None
) -> None:
    assert (await api.call(method, path, data)).status == 401
    answer = await api.call(method, path, data, sub="eve", scope=scope)
    assert answer.status == status or (status is None and answer.status not in (401, 403))


async def test_a_missing_job_and_a_foreign_one_are_answered_alike(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k", "owner": "ann"})
    for method, path in (("GET", ""), ("POST", "/cancel")):
        foreign = await api.call(method, f"/v1/jobs/{name}{path}", sub="eve")
        missing = await api.call(method, f"/v1/jobs/{name}-not{path}", sub="eve")
        assert foreign.status == missing.status == 404
        assert foreign.json == missing.json
        assert foreign.headers.keys() == missing.headers.keys()


async def test_a_job_without_an_owner_is_for_every_token_to_read_and_for_admins_to_cancel(api: Api, name: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    assert (await api.call("GET", f"/v1/jobs/{name}")).status == 401
    assert (await api.call("GET", f"/v1/jobs/{name}", sub="eve")).status == 200
    assert (await api.call("POST", f"/v1/jobs/{name}/cancel")).status == 401
    assert (await api.call("POST", f"/v1/jobs/{name}/cancel", sub="eve")).status == 404
    assert (await api.call("POST", f"/v1/jobs/{name}/cancel", sub="root", scope="admin")).status == 200


async def test_a_cancel_reaches_the_worker_and_happens_once(api: Api, publisher: Publisher, name: str) -> None:
    with pytest.raises(JobCancelled), publisher.job(name, kind="k", owner="ann") as job:
        cancelled = await api.call("POST", f"/v1/jobs/{name}/cancel", sub="ann")
        assert cancelled.json["status"] == "cancelled"
        job.progress(50)
        job.raise_if_cancelled()
    again = await api.call("POST", f"/v1/jobs/{name}/cancel", sub="ann")
    assert again.status == 409
    assert "cancelled already" in again.sentence


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_a_finished_job_cannot_be_cancelled(api: Api, name: str, status: str) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k", "owner": "ann"})
    await api.publisher("PATCH", f"/v1/jobs/{name}", {"status": status})
    answer = await api.call("POST", f"/v1/jobs/{name}/cancel", sub="ann")
    assert answer.status == 409
    assert f"is {status} already" in answer.sentence


async def test_the_list_has_the_callers_jobs_only_and_the_newest_first(
    api: Api, publisher: Publisher, name: str
) -> None:
    for number in range(5):
        publisher.create_job(f"{name}-{number}", kind="k", owner=name)
    publisher.create_job(f"{name}-other", kind="k", owner=f"{name}-other")
    listed = await api.call("GET", "/v1/jobs", sub=name)
    created = [job["created_at"] for job in listed.json["jobs"]]
    assert {job["job_id"] for job in listed.json["jobs"]} == {f"{name}-{number}" for number in range(5)}
    assert created == sorted(created, reverse=True)
    assert listed.json["more"] is False


async def test_a_longer_list_says_that_there_is_more(api: Api, publisher: Publisher, name: str) -> None:
    for number in range(3):
        publisher.create_job(f"{name}-{number}", kind="k", owner=name)
    listed = await api.call("GET", "/v1/jobs?limit=2", sub=name)
    assert len(listed.json["jobs"]) == 2
    assert listed.json["more"] is True


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e2", "٣", "9" * 30, "", "1%00"])
async def test_a_list_has_a_sane_limit(api: Api, limit: str) -> None:
    answer = await api.call("GET", f"/v1/jobs?limit={limit.replace('٣', '%D9%A3')}", sub="ann")
    assert answer.status == 400
    assert "1 to 200" in answer.sentence


async def test_a_list_needs_to_know_whose(api: Api, node: object) -> None:
    assert (await api.call("GET", "/v1/jobs")).status == 401
    nobody = {"Authorization": f"Bearer {token(None)}"}
    refused = await api.call("GET", "/v1/jobs", headers=nobody)
    assert refused.status == 401 and "GATEWAY_JWT_REQUIRE_SUB=false" in refused.sentence


def _as(subject: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(subject)}"}


def _commands(url: str) -> Counter[str]:
    """How often Redis was asked what, beside what a node asks by itself."""
    with redis.Redis.from_url(url) as client:
        found: dict[str, Any] = client.info("commandstats")
    counted = Counter({name.removeprefix("cmdstat_"): row["calls"] for name, row in found.items()})
    return Counter({name: counted[name] for name in ("hgetall", "hmget", "memory|usage", "hlen", "hstrlen", "xrange")})


@pytest.mark.parametrize("method, path", [("GET", ""), ("GET", "/events"), ("POST", "/pause")])
async def test_a_foreign_job_costs_what_a_missing_one_costs(
    own_broker: Broker, prefix: str, method: str, path: str
) -> None:
    """Its state, which may have megabytes, is not even read: neither the time nor the node's memory tells of it."""
    with (
        Node(own_broker.url, prefix, JOB_WAIT_S=0) as node,
        Publisher.from_url(own_broker.url, prefix=prefix) as pub,
    ):
        pub.create_job("anns", kind="k", owner="ann", meta={"text": "x" * 200_000})
        counts = [_commands(own_broker.url)]
        answers = []
        for job_id in ("anns", "none"):
            answers.append(await request(node.base, f"/v1/jobs/{job_id}{path}", method=method, headers=_as("eve")))
            counts.append(_commands(own_broker.url))
        foreign, missing = answers
        assert (foreign.status, foreign.body) == (missing.status, missing.body)
        assert foreign.status == 404
        before, between, after = counts
        assert between - before == after - between
        assert (after - before)["hgetall"] == 0


async def test_a_long_list_comes_in_pieces(own_broker: Broker, prefix: str) -> None:
    """A reader that stops reading holds a few of its jobs in the node, not all of them."""
    with Node(own_broker.url, prefix) as node, Publisher.from_url(own_broker.url, prefix=prefix) as pub:
        for number in range(20):
            pub.create_job(f"j{number}", kind="k", owner="ann", meta={"text": "x" * 200_000})
        got = await request(node.base, "/v1/jobs", headers=_as("ann"))
        assert got.headers["transfer-encoding"] == "chunked"
        assert [job["job_id"] for job in json.loads(got.body)["jobs"]] == [f"j{n}" for n in reversed(range(20))]
