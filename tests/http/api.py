"""Calls to a real node whose every answer is held against the node's own description of its API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.http import openapi
from gateway.version import version
from tests.support.http1 import request
from tests.support.json_schema import Schemas
from tests.support.tokens import token

DOCUMENT: dict[str, Any] = json.loads(openapi.document(version()))
SCHEMAS = Schemas(DOCUMENT)


@dataclass(frozen=True)
class Answer:
    """What came back; ``json`` is None for anything else."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["error"]["code"])

    @property
    def sentence(self) -> str:
        """The message of an error."""
        return str(self.json["error"]["message"])


class Api:
    """One node, asked with a fresh connection per call."""

    def __init__(self, base: str) -> None:
        self.base = base

    async def call(
        self,
        method: str,
        path: str,
        data: object = None,
        *,
        sub: str | None = None,
        scope: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask as ``sub`` (nobody where there is neither subject nor scope) with ``data`` as JSON, or ``body`` as it is.

        Fails where the answer is not one that the description of the API allows.
        """
        sent = dict(headers or {})
        if sub is not None or scope is not None:
            sent.setdefault("Authorization", f"Bearer {token(sub or 'worker', scope=scope)}")
        if body is None:
            body = b"" if data is None else json.dumps(data).encode()
        if body:
            sent.setdefault("Content-Type", "application/json")
        exchange = await request(self.base, path, method=method, headers=sent, body=body)
        is_json = exchange.headers.get("content-type", "") == "application/json" and method != "HEAD"
        answer = Answer(
            exchange.status, exchange.headers, exchange.body, json.loads(exchange.body) if is_json else None
        )
        if method != "HEAD":
            check_answer(method, path, answer)
        return answer

    async def publisher(self, method: str, path: str, data: object = None, **more: Any) -> Answer:
        """The same as somebody with the scope ``publish``."""
        return await self.call(method, path, data, scope="publish", **more)


def check_answer(method: str, path: str, answer: Answer) -> None:
    """Raise ``AssertionError`` unless the description has this answer."""
    operation = described(method, path.partition("?")[0])
    if operation is None:
        assert answer.status in (404, 405), f"{method} {path} is not described and was answered {answer.status}"
        SCHEMAS.check(answer.json, {"$ref": "#/components/schemas/Error"})
        return
    response = SCHEMAS.resolve(operation["responses"][str(answer.status)])
    for media, content in response.get("content", {}).items():
        assert answer.headers["content-type"].startswith(media)
        if media == "application/json":
            SCHEMAS.check(answer.json, content["schema"])
            assert answer.headers["cache-control"] == "no-store"


def described(method: str, path: str) -> dict[str, Any] | None:
    """The operation that serves this path."""
    for template in sorted(DOCUMENT["paths"], key=lambda template: "{" in template):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            operation: dict[str, Any] | None = DOCUMENT["paths"][template].get(method.lower())
            if operation is not None:
                return operation
    return None
