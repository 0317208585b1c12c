"""Whatever somebody sends, the answer is a clear 4xx; that it fits the description is checked with every call."""

from __future__ import annotations

import json
from typing import Final

import pytest

from gateway.http.body import SMALL_BODY_BYTES
from tests.http.api import Api
from tests.support.node import Node

JOB: Final = {"job_id": "bad", "kind": "k"}
EVENT: Final = {"channel": "broadcast", "type": "t", "data": 1}

BODIES: Final[dict[str, bytes]] = {
    "nothing": b"",
    "half": b'{"job_id": "x"',
    "no JSON": b"job_id=x",
    "two values": b"{} {}",
    "single quotes": b"{'a': 1}",
    "NaN": b'{"progress": NaN}',
    "Infinity": b'{"progress": 1e999}',
    "a comma too many": b'{"a": 1,}',
    "Latin-1": '{"kind": "\xe9"}'.encode("latin-1"),
    "UTF-16": '{"kind": "x"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"kind": "x"}',
    "a lone surrogate": b'{"kind": "\\ud800"}',
    "raw control characters": b'{"kind": "a\x00b"}',
    "text": b'"text"',
    "a number": b"42",
    "null": b"null",
    "true": b"true",
    "a list in a list": b"[[]]",
    "too deep": b'{"meta": ' + b"[" * 40 + b"]" * 40 + b"}",
    "far too deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/jobs"), ("PATCH", "/v1/jobs/bad"), ("POST", "/v1/events"), ("POST", "/v1/tickets")],
)
async def test_a_bad_body_is_refused(api: Api, method: str, path: str, kind: str) -> None:
    answer = await api.publisher(method, path, body=BODIES[kind])
    too_large = path == "/v1/tickets" and len(BODIES[kind]) > SMALL_BODY_BYTES
    assert answer.status == (413 if too_large else 400), answer.json
    assert answer.sentence[-1] in ".!…"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"job_id": 1}, "job_id"),
        ({"job_id": None}, "job_id"),
        ({"job_id": ""}, "job_id"),
        ({"job_id": "a b"}, "job_id"),
        ({"job_id": "a\r\nb"}, "job_id"),
        ({"job_id": "a\x00b"}, "job_id"),
        ({"job_id": "a\u200bb\u2028"}, "job_id"),
        ({"job_id": "{x}"}, "job_id"),
        ({"job_id": "x" * 201}, "job_id"),
        ({"kind": ["k"]}, "kind"),
        ({"kind": "a\nb"}, "kind"),
        ({"owner": 5}, "owner"),
        ({"owner": "a,b"}, "owner"),
        ({"meta": []}, "meta"),
        ({"meta": "m"}, "meta"),
        ({"status": "active"}, "status"),
        ({"ownr": "ann"}, "owner"),
        ({"x\r\n" * 500: 1}, "unknown"),
    ],
)
async def test_a_job_with_a_bad_field_is_refused_by_name(api: Api, change: dict[str, object], named: str) -> None:
    answer = await api.publisher("POST", "/v1/jobs", {**JOB, **change})
    assert answer.status == 400
    assert named in answer.sentence
    assert len(answer.sentence) < 400


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, "nothing to change"),
        ({"status": "pending"}, "status"),
        ({"status": "done"}, "status"),
        ({"status": 1}, "status"),
        ({"progress": "50"}, "progress"),
        ({"progress": True}, "progress"),
        ({"progress": -1}, "progress"),
        ({"progress": 101}, "progress"),
        ({"message": {"text": "x"}}, "message"),
        ({"stage": 3}, "stage"),
        ({"current": "3"}, "current"),
        ({"total": []}, "total"),
        ({"item": "f1"}, "item"),
        ({"item": {}}, "item_id"),
        ({"item": {"item_id": "a\nb"}}, "item_id"),
        ({"item": {"item_id": "f", "size": 1}}, "size"),
        ({"item": {"item_id": "f", "progress": 200}}, "progress"),
        ({"item": {"item_id": "f", "filename": 1}}, "filename"),
        ({"result": 1}, "result"),
        ({"error": "text", "status": "failed"}, "error"),
        ({"error": {"code": "c"}, "status": "failed"}, "message"),
        ({"error": {"message": "m"}}, "error"),
        ({"error": {"message": 5}, "status": "failed"}, "message"),
        ({"error": {"message": "m", "trace": "…"}, "status": "failed"}, "trace"),
        ({"kind": "other"}, "kind"),
        ({"owner": "eve"}, "owner"),
    ],
)
async def test_a_report_with_a_bad_field_is_refused_by_name(
    api: Api, name: str, change: dict[str, object], named: str
) -> None:
    await api.publisher("POST", "/v1/jobs", {"job_id": name, "kind": "k"})
    answer = await api.publisher("PATCH", f"/v1/jobs/{name}", change)
    assert answer.status == 400
    assert named in answer.sentence
    assert (await api.call("GET", f"/v1/jobs/{name}", sub="ann")).json["status"] == "pending"


@pytest.mark.parametrize(
    "change",
    [
        {"channel": None},
        {"channel": "topic:"},
        {"channel": "topic:a\x00"},
        {"channel": "topic:a\r\nb"},
        {"channel": "topic:{a}"},
        {"channel": "room:a"},
        {"channel": 7},
        {"type": None},
        {"type": "a b"},
        {"type": "a\r\ndata: x"},
        {"type": "t" * 101},
        {"type": "job.completed"},
        {"type": "job.mine"},
        {"id": ""},
        {"id": "a\x00"},
        {"id": 5},
        {"id": "i" * 256},
        {"chanel": "x"},
    ],
)
async def test_a_bad_event_is_refused_alone_and_by_index_in_a_list(api: Api, change: dict[str, object]) -> None:
    alone = await api.publisher("POST", "/v1/events", {**EVENT, **change})
    listed = await api.publisher("POST", "/v1/events", [EVENT, {**EVENT, **change}])
    assert alone.status == listed.status == 400
    assert listed.sentence.startswith("Event 1")


@pytest.mark.parametrize("missing", ["channel", "type", "data"])
async def test_an_event_without_a_field_is_refused_by_name(api: Api, missing: str) -> None:
    answer = await api.publisher("POST", "/v1/events", {k: v for k, v in EVENT.items() if k != missing})
    assert answer.status == 400
    assert missing in answer.sentence


@pytest.mark.parametrize(
    "raw_id",
    [
        "%00",
        "a%00b",
        "a%0d%0ab",
        "a%0a",
        "%ff%fe",
        "%ed%a0%80",
        "a%20b",
        "a+b%7B",
        "%7Bx%7D",
        "a,b",
        "a%2Cb",
        "%e2%80%a8",
        "x" * 201,
        "%c3%a9" * 201,
    ],
)
async def test_a_bad_id_in_the_path_is_refused(api: Api, raw_id: str) -> None:
    for method, path, data in (
        ("GET", f"/v1/jobs/{raw_id}", None),
        ("PATCH", f"/v1/jobs/{raw_id}", {"progress": 1}),
        ("POST", f"/v1/jobs/{raw_id}/cancel", None),
    ):
        answer = await api.call(method, path, data, scope="admin")
        assert answer.status == 400, (method, answer.json)
        assert "job id" in answer.sentence


@pytest.mark.parametrize("path", ["/v1/jobs/a/b", "/v1/jobs/", "/v1//jobs", "/v2/jobs", "/%2e%2e/etc", "/v1/jobs/a/"])
async def test_a_path_that_leads_nowhere_is_not_found(api: Api, path: str) -> None:
    answer = await api.call("GET", path, scope="admin")
    assert answer.status == 404
    assert answer.sentence == "There is nothing at this path."


@pytest.mark.parametrize(
    ("path", "methods"), [("/v1/jobs", {"GET", "HEAD", "POST"}), ("/v1/events", {"GET", "HEAD", "POST"})]
)
async def test_a_method_that_a_path_does_not_know_is_told_which_it_does(api: Api, path: str, methods: set[str]) -> None:
    answer = await api.call("DELETE", path, scope="admin")
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == methods


async def test_a_body_over_a_mebibyte_is_too_large(api: Api) -> None:
    body = json.dumps({**JOB, "meta": {"text": "x" * (1 << 20)}}).encode()
    answer = await api.publisher("POST", "/v1/jobs", body=body)
    assert answer.status == 413


async def test_a_field_over_the_limit_of_an_event_is_too_large(api: Api, name: str) -> None:
    new = {"job_id": name, "kind": "k"}
    assert (await api.publisher("POST", "/v1/jobs", {**new, "meta": {"t": "x" * 20_000}})).status == 413
    await api.publisher("POST", "/v1/jobs", new)
    for change in ({"message": "x" * 20_001}, {"status": "completed", "result": "x" * 20_001}):
        answer = await api.publisher("PATCH", f"/v1/jobs/{name}", change)
        assert answer.status == 413
        assert "GATEWAY_MAX_EVENT_BYTES" in answer.sentence


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer x", "Bearer a.b.c", "bearer " + "a." * 5000, "Bearer \xff.\xff.\xff"]
)
async def test_a_bad_token_is_unauthorized_everywhere(api: Api, authorization: str) -> None:
    for method, path, data in (
        ("GET", "/v1/jobs", None),
        ("GET", "/v1/jobs/x", None),
        ("POST", "/v1/jobs", JOB),
        ("POST", "/v1/events", EVENT),
        ("POST", "/v1/tickets", {"channels": ["broadcast"]}),
    ):
        answer = await api.call(method, path, data, headers={"Authorization": authorization})
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_none_of_this_was_an_internal_error(node: Node) -> None:
    """The last of this file: what the tests before have sent left no traceback behind."""
    assert "Traceback" not in node.log
