"""A stream's subscriptions as others hear and read of them, in the words of the version that it speaks. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson

from gateway.mercure.hub_update import HubUpdate
from gateway.mercure.rights import HubRights
from gateway.mercure.rules import HUB_TYPE, SUBSCRIPTIONS
from gateway.mercure.selector import SelectorKind, TopicSelector

CONTEXT: Final = "https://mercure.rocks/"


class HubSubscriber(NamedTuple):
    """One stream. ``begins`` and ``ends`` are what is told when its subscriptions begin and end, as lines: an id, a
    blank and an update's data. They are made at once, so that others can tell the end of a node that is gone."""

    id: str
    begins: bytes
    ends: bytes
    watches: bool


def subscriber(selectors: Iterable[TopicSelector], rights: HubRights, root: str, *, watches: bool) -> HubSubscriber:
    """A stream with an identity of its own, which says nothing of its token's. ``root`` is the path before the hub's
    own."""
    name = f"urn:uuid:{uuid.uuid4()}"
    documents = [document(selector, name, rights.payload(selector), root) for selector in selectors]
    begins = b"\n".join(_line(each, active=True) for each in documents)
    return HubSubscriber(name, begins, b"\n".join(_line(each, active=False) for each in documents), watches)


def document(selector: TopicSelector, name: str, payload: Any, root: str) -> dict[str, Any]:
    """One subscription: of 0.x as JSON-LD, of 1.0 as JSON."""
    places = [selector.text, name]
    said: dict[str, Any]
    if selector.kind is SelectorKind.TOPIC:
        said = {"@context": CONTEXT, "id": address(places, root), "type": "Subscription", "topic": selector.text}
    else:
        said = {"id": address([selector.kind, *places], root), "type": "subscription"}
        said |= {"match": selector.text, "match_type": selector.kind.value}
    said |= {"subscriber": name, "active": True}
    return said if payload is None else {**said, "payload": payload}


def address(places: Iterable[str], root: str = "") -> str:
    """Each place encoded once and as a whole."""
    return "/".join([root + SUBSCRIPTIONS, *(quote(place, safe="") for place in places)])


def _line(document: dict[str, Any], *, active: bool) -> bytes:
    data = orjson.dumps({**document, "active": active})
    type = "" if "topic" in document else HUB_TYPE
    update = HubUpdate(f"urn:uuid:{uuid.uuid4()}", (document["id"],), data, private=True, type=type)
    return update.id.encode() + b" " + update.packed()


def documents_in(ends: bytes) -> list[dict[str, Any]]:
    """The subscriptions whose ends these lines are, active; whatever is none is left out."""
    found = []
    for line in ends.split(b"\n"):
        try:
            said = orjson.loads(orjson.loads(line.partition(b" ")[2])["data"])
            if isinstance(said["id"], str) and isinstance(said["subscriber"], str):
                found.append({**said, "active": True})
        except (ValueError, TypeError, KeyError):
            continue
    return found


def places(document: dict[str, Any]) -> list[str]:
    """What stands behind the hub's path in a subscription's address, decoded."""
    if "topic" in document:
        return [document["topic"], document["subscriber"]]
    return [document.get("match_type", ""), document.get("match", ""), document["subscriber"]]


def collection(documents: list[dict[str, Any]], path: str, last: str, *, modern: bool) -> dict[str, Any]:
    if modern:
        return {"id": path, "type": "subscriptions", "last_event_id": last, "subscriptions": documents}
    inner = [{name: value for name, value in each.items() if name != "@context"} for each in documents]
    return {"@context": CONTEXT, "id": path, "type": "Subscriptions", "lastEventID": last, "subscriptions": inner}


def single(document: dict[str, Any], last: str, *, modern: bool) -> dict[str, Any]:
    return {**document, "last_event_id" if modern else "lastEventID": last}
