"""Clients of a Mercure hub as they are in the field: form publishers, EventSource, and the tokens of both versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from tests.support.eventsource import EventSource
from tests.support.http1 import Exchange, request
from tests.support.tokens import SECRET, KeyPair, raw_token, token

PATH = "/.well-known/mercure"
SUBSCRIPTIONS = f"{PATH}/subscriptions"
METADATA = f"/.well-known/oauth-protected-resource{PATH}"
PUBLISHER_KEY = "the-publishers-own-key-of-the-tests-0123456789"
SUBSCRIBER_KEY = "the-subscribers-own-key-of-the-tests-0123456789"
ISSUER = "https://issuer.example"
AUDIENCE = "https://hub.example/.well-known/mercure"
DETAIL = "mercure"
KEYS = {"MERCURE_PUBLISHER_JWT_KEY": PUBLISHER_KEY, "MERCURE_SUBSCRIBER_JWT_KEY": SUBSCRIBER_KEY}
MODERN = {"MERCURE_JWT_ISSUER": ISSUER, "MERCURE_JWT_AUDIENCE": AUDIENCE}

Query = Mapping[str, str] | Sequence[tuple[str, str]]


def classic(key: str | KeyPair = SECRET, *, sub: str | None = "user-1", payload: Any = None, **claims: Any) -> str:
    """A token of 0.x: ``publish=[…]``, ``subscribe=[…]``."""
    own: dict[str, Any] = {name: claims.pop(name) for name in ("publish", "subscribe") if name in claims}
    if payload is not None:
        own["payload"] = payload
    return token(sub, key=key, mercure=own, **claims)


def detail(actions: Sequence[str], *topics: str | dict[str, str], **more: Any) -> dict[str, Any]:
    matchers = [{"match": each} if isinstance(each, str) else each for each in topics]
    return {"type": DETAIL, "actions": list(actions), "topics": matchers, **more}


def modern(*details: Any, key: str | KeyPair = SECRET, typ: str = "at+jwt", **claims: Any) -> str:
    """An access token of 1.0."""
    said = {"iss": ISSUER, "aud": AUDIENCE, "authorization_details": list(details), **claims}
    return token(key=key, headers={"typ": typ}, **said)


def bare(claims: Mapping[str, Any], key: str, typ: str = "JWT") -> str:
    """A token with these claims and nothing else."""
    return raw_token(dict(claims), key, {"alg": "HS256", "typ": typ})


def fields(*pairs: tuple[str, str], **named: str) -> bytes:
    return urlencode([*named.items(), *pairs]).encode()


class HubClient:
    """The hub of one node (or of a proxy before several)."""

    def __init__(self, base: str, key: str = SECRET) -> None:
        self.base = base
        self._key = key

    async def post(
        self, body: bytes, bearer: str | None = None, headers: Mapping[str, str] | None = None, path: str = PATH
    ) -> Exchange:
        """A form, with a token that may publish everything unless another one is given (empty: none)."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        bearer = classic(self._key, publish=["*"]) if bearer is None else bearer
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        return await request(self.base, path, method="POST", headers=sent, body=body)

    async def publish(self, topic: str, data: str = "", *more: tuple[str, str], **named: str) -> str:
        """The update's id."""
        answer = await self.post(fields(("topic", topic), ("data", data), *more, **named))
        assert answer.status == 200, (answer.status, answer.body)
        return answer.body.decode()

    def stream(self, query: Query, bearer: str | None = None, **more: Any) -> EventSource:
        """A subscription; with ``bearer`` None as somebody who may read nothing that is private."""
        bearer = classic(self._key) if bearer is None else bearer
        return EventSource(self.base, f"{PATH}?{urlencode(query)}", token=bearer or None, **more)

    async def get(self, path: str, bearer: str = "", headers: Mapping[str, str] | None = None) -> Exchange:
        sent = dict(headers or {})
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        return await request(self.base, path, headers=sent)

    async def listed(self, bearer: str, path: str = SUBSCRIPTIONS) -> dict[str, Any]:
        answer = await self.get(path, bearer)
        assert answer.status == 200, (answer.status, answer.body)
        found: dict[str, Any] = json.loads(answer.body)
        return found


async def heard(source: EventSource, until: str) -> list[str]:
    """The data of all events up to and with this one."""
    return [event.data for event in await source.collect_until(lambda event: event.data == until)]
