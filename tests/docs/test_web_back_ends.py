"""The web back ends of the how-to, each with its own framework's test client, in front of a real node."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import httpx
import pytest
from django.conf import settings
from django.test import RequestFactory
from fastapi import Request
from starlette.middleware.base import BaseHTTPMiddleware

from publisher import Publisher
from tests.support.broker import Broker
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.tokens import SECRET

HOWTO = Path(__file__).parents[2] / "docs/howto/web-back-ends.md"
Answer = tuple[int, dict[str, Any]]
Ask = Callable[[str, str, str | None], Awaitable[Answer]]
"""Method, path and the user who is signed in; the answer's status and JSON."""


@pytest.fixture
def example(own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """The module that stands below a heading of the page."""
    for name, value in {"REDIS_URL": own_broker.url, "GATEWAY_JWT_KEY": SECRET, "SESSION_KEY": "s" * 32}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NODES_URL", raising=False)

    def load(heading: str) -> ModuleType:
        section = HOWTO.read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
        (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        path = tmp_path / f"{heading.lower()}_example.py"
        path.write_text(code)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


async def fastapi_serves(example: ModuleType, check: Callable[[Ask], Any]) -> None:
    who: list[str | None] = [None]

    async def sign_in(request: Request, call_next: Any) -> Any:
        request.state.user = who[0]
        return await call_next(request)

    example.app.add_middleware(BaseHTTPMiddleware, dispatch=sign_in)
    transport = httpx.ASGITransport(example.app)
    async with example.app.router.lifespan_context(example.app):
        async with httpx.AsyncClient(transport=transport, base_url="http://back-end") as client:

            async def ask(method: str, path: str, user: str | None) -> Answer:
                who[0] = user
                answer = await client.request(method, path)
                return answer.status_code, answer.json()

            await check(ask)


async def flask_serves(example: ModuleType, check: Callable[[Ask], Any]) -> None:
    async def ask(method: str, path: str, user: str | None) -> Answer:
        with example.app.test_client() as client:
            with client.session_transaction() as session:
                session["user"] = user
            answer = client.open(path, method=method)
            return answer.status_code, answer.get_json(silent=True) or {}

    await check(ask)
    example.events.close()


class _Somebody:
    """As much of Django's user as a view asks for, without a database."""

    def __init__(self, pk: str | None) -> None:
        self.pk = pk
        self.is_authenticated = pk is not None


async def django_serves(load: Callable[[], ModuleType], check: Callable[[Ask], Any]) -> None:
    if not settings.configured:
        installed = ["django.contrib.auth", "django.contrib.contenttypes"]
        settings.configure(SECRET_KEY="s" * 32, INSTALLED_APPS=installed, ROOT_URLCONF=(), ALLOWED_HOSTS=["*"])
        django.setup()
    example = load()
    views = {"/events-token": example.events_token, "/pictures": example.order_picture}

    async def ask(method: str, path: str, user: str | None) -> Answer:
        request = RequestFactory().generic(method, path)
        request.user = _Somebody(user)
        answer = views[path](request)
        # Django sends who is not signed in to its page for that.
        refused = answer.status_code == 302
        return (401, {}) if refused else (answer.status_code, json.loads(answer.content))

    await check(ask)
    example.events.close()


async def test_a_user_gets_a_token_a_job_and_its_stream_and_nobody_else_does(
    own_broker: Broker, example: Callable[[str], ModuleType]
) -> None:
    with Node(own_broker.url) as node, Publisher.from_url(own_broker.url) as pub:

        async def check(ask: Ask) -> None:
            for method, path in (("POST", "/pictures"), ("GET", "/events-token")):
                assert (await ask(method, path, None))[0] == 401
            status, order = await ask("POST", "/pictures", "ann")
            assert status == 202
            (_, ann), (_, bob) = await ask("GET", "/events-token", "ann"), await ask("GET", "/events-token", "bob")
            async with EventSource(node.base, order["events"], token=ann["token"]) as viewer:
                state = json.loads((await viewer.next_of_type("job.state")).data)
                assert (state["status"], state["kind"], state["owner"]) == ("pending", "picture", "ann")
                with pub.job(order["job_id"]) as job:
                    job.progress(50)
                await viewer.next_of_type("job.completed")
            async with httpx.AsyncClient(base_url=node.base) as other:
                answer = await other.get(
                    f"/v1/jobs/{order['job_id']}", headers={"Authorization": f"Bearer {bob['token']}"}
                )
                assert answer.status_code == 404

        await fastapi_serves(example("FastAPI"), check)
        await flask_serves(example("Flask"), check)
        await django_serves(lambda: example("Django"), check)
