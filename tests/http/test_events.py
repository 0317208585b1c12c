"""Publishing over HTTP, seen by a stream on the same node."""

from __future__ import annotations

import pytest

from publisher import Publisher
from tests.http.api import Api


async def test_one_event_is_answered_with_its_receipt(api: Api, name: str) -> None:
    first = await api.publisher("POST", "/v1/events", {"channel": f"topic:{name}", "type": "t", "data": None})
    second = await api.publisher("POST", "/v1/events", {"channel": f"topic:{name}", "type": "t", "data": {"a": [1]}})
    [one], [two] = first.json["receipts"], second.json["receipts"]
    assert (one["channel"], one["seq"], two["seq"]) == (f"topic:{name}", 1, 2)
    assert one["epoch"] == two["epoch"]


async def test_a_list_is_answered_in_order(api: Api, name: str) -> None:
    events = [{"channel": f"topic:{name}-{n % 2}", "type": "t", "data": n} for n in range(1000)]
    answer = await api.publisher("POST", "/v1/events", events)
    assert [(r["channel"], r["seq"]) for r in answer.json["receipts"]] == [
        (f"topic:{name}-{n % 2}", n // 2 + 1) for n in range(1000)
    ]


async def test_an_empty_list_publishes_nothing(api: Api) -> None:
    answer = await api.publisher("POST", "/v1/events", [])
    assert answer.json == {"receipts": []}


async def test_an_own_id_is_published_once(api: Api, name: str) -> None:
    event = {"channel": f"topic:{name}", "type": "t", "data": 1, "id": "mine"}
    first = await api.publisher("POST", "/v1/events", event)
    again = await api.publisher("POST", "/v1/events", event)
    assert first.json == again.json


async def test_one_bad_event_refuses_the_list_and_is_named(api: Api, name: str) -> None:
    good = {"channel": f"topic:{name}", "type": "t", "data": 1}
    answer = await api.publisher("POST", "/v1/events", [good, {**good, "type": "job.started"}])
    assert answer.status == 400
    assert answer.sentence.startswith("Event 1: ")
    after = await api.publisher("POST", "/v1/events", good)
    assert after.json["receipts"][0]["seq"] == 1


async def test_too_large_an_event_is_named_and_refuses_the_list(api: Api, name: str) -> None:
    good = {"channel": f"topic:{name}", "type": "t", "data": 1}
    large = {**good, "data": "ü" * 10_000}
    alone, listed = [await api.publisher("POST", "/v1/events", body) for body in (large, [good, good, large])]
    assert alone.status == listed.status == 413
    assert listed.sentence.startswith("Event 2: ")
    assert "20002 bytes" in alone.sentence
    assert "GATEWAY_MAX_EVENT_BYTES" in alone.sentence
    after = await api.publisher("POST", "/v1/events", good)
    assert after.json["receipts"][0]["seq"] == 1


async def test_more_than_a_thousand_events_are_too_many(api: Api, name: str) -> None:
    events = [{"channel": f"topic:{name}", "type": "t", "data": n} for n in range(1001)]
    answer = await api.publisher("POST", "/v1/events", events)
    assert answer.status == 413
    assert "1000" in answer.sentence


async def test_an_event_for_a_finished_job_is_a_conflict(api: Api, publisher: Publisher, name: str) -> None:
    with publisher.job(name, kind="k"):
        pass
    answer = await api.publisher("POST", "/v1/events", {"channel": f"job:{name}", "type": "late", "data": 1})
    assert answer.status == 409
    assert "completed" in answer.sentence


@pytest.mark.parametrize("change", [{"channel": "topic:a b"}, {"channel": "news"}, {"type": ""}, {"id": "a\r\nb"}])
async def test_bad_names_never_reach_redis(api: Api, name: str, change: dict[str, str]) -> None:
    answer = await api.publisher("POST", "/v1/events", {"channel": "broadcast", "type": "t", "data": 1, **change})
    assert answer.status == 400
