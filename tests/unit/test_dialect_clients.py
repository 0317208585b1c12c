"""The dialect ``clients``: the stream's words, and the bodies of its two calls."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.dialects.clients import ClientsEncoder, Notification, failed, figures, notification
from gateway.exceptions import BadRequest, Unauthorized, Unavailable
from tests.unit import dialect_world as world
from tests.unit.dialect_world import CREATED, CREATED_AT, event, raw_event, spoken, told

ENCODER = ClientsEncoder(lambda: CREATED_AT)

PAYLOADS: dict[str, tuple[bytes, Any]] = {
    "an object": (b'{"message":"Hello"}', {"message": "Hello"}),
    "unicode": ('{"m":"Grüße \u2028"}'.encode(), {"m": "Grüße \u2028"}),
    "null": (b"null", None),
    "a number": (b"7", 7),
    "text": (b'"a\\nb"', "a\nb"),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_an_event_has_its_own_name_and_its_data_as_payload(name: str) -> None:
    """As it was published, without parsing it."""
    data, payload = PAYLOADS[name]
    assert told(ENCODER, raw_event("user.invited", data, channel="client:ann")) == [("user.invited", payload)]


@pytest.mark.parametrize("type_", world.DATA)
def test_every_type_has_a_word(type_: str) -> None:
    heard = event(type_, channel="broadcast")
    assert told(ENCODER, heard) == [(type_, orjson.loads(heard.data))]


def test_it_greets_with_who_is_connected() -> None:
    assert spoken(*ENCODER.opened("c1", ["client:ann:7", "broadcast"], False)) == [
        ("__connected", {"clientId": "ann:7", "connectionId": "c1", "timestamp": CREATED})
    ]


def test_a_heartbeat_is_an_event() -> None:
    assert spoken(ENCODER.heartbeat()) == [("__heartbeat", {"timestamp": CREATED})]


def test_a_loss_has_an_event_of_its_own() -> None:
    """There is no state that could be told anew."""
    assert spoken(*ENCODER.reset("client:ann", "history_lost")) == [
        ("stream.reset", {"channel": "client:ann", "reason": "history_lost"})
    ]


def test_its_bytes() -> None:
    assert ENCODER.heartbeat() == b'event: __heartbeat\ndata: {"timestamp":"2026-01-01T00:00:00.000Z"}\n\n'


GOOD: dict[str, tuple[dict[str, Any], Notification]] = {
    "one client": ({"clientId": "ann", "event": "hi", "payload": {"a": 1}}, Notification("ann", "hi", {"a": 1})),
    "broadcast off": (
        {"clientId": "ann", "event": "hi", "payload": 1, "broadcast": False},
        Notification("ann", "hi", 1),
    ),
    "broadcast null": (
        {"clientId": "ann", "event": "hi", "payload": 1, "broadcast": None},
        Notification("ann", "hi", 1),
    ),
    "everybody": ({"event": "hi", "payload": None, "broadcast": True}, Notification(None, "hi", None)),
    "everybody beats one": (
        {"clientId": "", "event": "hi", "payload": "x", "broadcast": True},
        Notification(None, "hi", "x"),
    ),
    "fields of others": ({"clientId": "ann", "event": "hi", "payload": [], "x": 1}, Notification("ann", "hi", [])),
}

BAD: dict[str, tuple[Any, str]] = {
    "a list": ([], "object"),
    "null": (None, "object"),
    "text": ("hi", "object"),
    "no payload": ({"clientId": "ann", "event": "hi"}, "payload is missing"),
    "no event": ({"clientId": "ann", "payload": 1}, "event type"),
    "event of another type": ({"clientId": "ann", "event": 7, "payload": 1}, "event type"),
    "event with a line break": ({"clientId": "ann", "event": "a\nb", "payload": 1}, "event type"),
    "a job's type": ({"clientId": "ann", "event": "job.completed", "payload": 1}, "job calls"),
    "nobody": ({"event": "hi", "payload": 1}, "clientId, or broadcast"),
    "nobody, said twice": ({"event": "hi", "payload": 1, "broadcast": False}, "clientId, or broadcast"),
    "empty client": ({"clientId": "", "event": "hi", "payload": 1}, "1 to 200"),
    "client of another type": ({"clientId": 7, "event": "hi", "payload": 1}, "must be text"),
    "client with braces": ({"clientId": "a{b}", "event": "hi", "payload": 1}, "without whitespace"),
    "client too long": ({"clientId": "a" * 201, "event": "hi", "payload": 1}, "1 to 200"),
    "broadcast as text": ({"event": "hi", "payload": 1, "broadcast": "yes"}, "true or false"),
    "broadcast as a number": ({"event": "hi", "payload": 1, "broadcast": 1}, "true or false"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_notification_says_who_is_to_hear_what(name: str) -> None:
    body, expected = GOOD[name]
    assert notification(body) == expected


@pytest.mark.parametrize("name", BAD)
def test_a_bad_notification_is_refused_with_what_is_wrong(name: str) -> None:
    body, words = BAD[name]
    with pytest.raises((BadRequest, ValueError), match=words):
        notification(body)


def test_a_notification_names_its_channel() -> None:
    assert Notification("ann", "hi", 1).channel == "client:ann"
    assert Notification(None, "hi", 1).channel == "broadcast"


@pytest.mark.parametrize(("connections", "clients", "average"), [(0, 0, 0), (3, 2, 1.5), (10, 3, 3.33), (7, 7, 1)])
def test_the_average_has_two_decimals_and_needs_no_clients(connections: int, clients: int, average: float) -> None:
    assert figures(connections, clients) == {
        "totalConnections": connections,
        "totalClients": clients,
        "averageConnectionsPerClient": average,
    }


def test_an_error_has_the_dialects_shape_and_the_usual_status_and_headers() -> None:
    refused = failed(Unauthorized("A token is needed."))
    assert refused.status_code == 401
    assert orjson.loads(bytes(refused.body)) == {"ok": False, "error": "A token is needed."}
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["content-type"] == "application/json"
    assert int(refused.headers["content-length"]) == len(refused.body)
    assert "retry-after" in failed(Unavailable("Redis does not answer.")).headers
