"""Puts it all together: the one file that knows all others."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from gateway import answers
from gateway.dialects import clients, generation, jobs, tasks, video
from gateway.exceptions import BadRequest, HTTPError, InternalError, MethodNotAllowed, NotFound, Unavailable
from gateway.node import Node
from gateway.paths import RawPaths
from gateway.routes import cluster, events, health, pages, streams, tickets
from gateway.routes import jobs as job_routes
from gateway.settings import Settings
from gateway.store import StoreDown
from gateway.stream_door import StreamDoor
from publisher import PublishError

log = logging.getLogger("gateway.app")

ALLOWED_HEADERS = ["Authorization", "Cache-Control", "Content-Type", "Last-Event-ID"]


def create_app(node: Node, extra: list[BaseRoute] | None = None) -> Starlette:
    """The node's ASGI application. ``extra`` are routes that only ``dev`` has."""
    routes: list[BaseRoute] = []
    for module in (
        streams,
        job_routes,
        events,
        tickets,
        cluster,
        health,
        pages,
        jobs,
        clients,
        generation,
        tasks,
        video,
    ):
        routes += module.routes(node)
    app = Starlette(
        routes=[*routes, *(extra or [])],
        middleware=_middleware(node.settings, routes),
        exception_handlers={
            HTTPException: _starlette_error,
            HTTPError: _http_error,
            ValueError: _value_error,
            StoreDown: _redis_down,
            PublishError: _redis_down,
            Exception: _internal,
        },
        lifespan=_lifespan(node),
    )
    # A redirect would be built from the Host header, and would drop the prefix that a proxy has cut off.
    app.router.redirect_slashes = False
    return app


def _lifespan(node: Node) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with node.running():
            yield

    return lifespan


def _middleware(settings: Settings, routes: list[BaseRoute]) -> list[Middleware]:
    stack = [Middleware(RawPaths), Middleware(StreamDoor, routes=routes)]
    if settings.cors_origins:
        stack.insert(
            0,
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.cors_origins),
                allow_credentials=True,
                allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
                allow_headers=ALLOWED_HEADERS,
                expose_headers=["Location", "Retry-After"],
                max_age=600,
            ),
        )
    return stack


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPError)
    return answers.error_response(error)


async def _starlette_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return answers.error_response(NotFound("There is nothing at this path."))
    if error.status_code == 405:
        response = answers.error_response(MethodNotAllowed("This path does not know the method."))
        response.headers["allow"] = ", ".join(_methods(request))
        return response
    return answers.error_response(BadRequest(error.detail))


def _methods(request: Request) -> list[str]:
    """What the path may be asked, over all routes that share it."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    at_path = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in at_path for method in route.methods or ()})


async def _value_error(request: Request, error: Exception) -> Response:
    return answers.error_response(BadRequest(str(error)))


async def _redis_down(request: Request, error: Exception) -> Response:
    log.warning("redis.request_failed %s", error)
    return answers.error_response(Unavailable("Redis does not answer; try again later."))


async def _internal(request: Request, error: Exception) -> Response:
    """Ours to mend: the log has the traceback, the caller learns nothing of it."""
    return answers.error_response(InternalError("The node failed to answer; its log says why."))
