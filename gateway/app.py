"""Puts it all together: the one file that knows all others."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from gateway.auth.client_address import TrustedProxies
from gateway.dialects import ai, clients, generation, jobs, tasks, video
from gateway.exceptions import (
    BadRequest,
    HTTPError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    StoreDown,
    as_http_error,
)
from gateway.http import responses
from gateway.http.cross_origin import CrossOrigin
from gateway.http.endpoint import Endpoints
from gateway.http.forwarded import Forwarded
from gateway.http.hosts import AllowedHosts
from gateway.http.paths import raw_path
from gateway.http.root_path import RootPath
from gateway.logs.log import Log
from gateway.metrics.exposition import MetricFigures, joined
from gateway.node import Node
from gateway.routes import chats, cluster, events, health, pages, streams, tickets
from gateway.routes import jobs as job_routes
from gateway.streams.route import StreamRoutes
from gateway.streams.router import RequestStep, Router, Wrapper

log = Log("gateway.app")

ExtraRoutes = Callable[[Node, Endpoints], list[BaseRoute]]
Gather = Callable[[], Awaitable[Mapping[str, list[MetricFigures]]]]
"""What each of the processes on one port counts, by its number."""


def no_routes(node: Node, endpoint: Endpoints) -> list[BaseRoute]:
    return []


def create_app(node: Node, extra: ExtraRoutes = no_routes, gather: Gather | None = None) -> Starlette:
    """The node's ASGI application. ``extra`` makes the routes that only ``dev`` has; ``gather`` asks all processes,
    where several share the port."""
    endpoint = Endpoints(node.callers, degraded=lambda: node.streams.degraded)

    async def figures() -> list[MetricFigures]:
        return joined(await gather()) if gather is not None else node.figures()

    cross_origin = _cross_origin(node)
    app = Starlette(
        routes=[*_routes(node, endpoint, figures), *extra(node, endpoint)],
        middleware=[] if cross_origin is None else [Middleware(cross_origin)],
        exception_handlers={
            HTTPException: _starlette_error,
            HTTPError: _refused,
            ValueError: _refused,
            Exception: _internal,
        },
        lifespan=_lifespan(node),
    )
    # A redirect would be built from the Host header, and would drop the prefix that a proxy has cut off.
    app.router.redirect_slashes = False
    return app


def _routes(node: Node, endpoint: Endpoints, figures: Callable[[], Awaitable[list[MetricFigures]]]) -> list[BaseRoute]:
    stream = StreamRoutes(node.stream_parts, node.limits, node.presence)
    callers, history, publisher, reader = node.callers, node.history, node.publisher, node.presence.reader
    settings, hub = node.settings, node.mercure
    pages_of = pages.Pages(node.dev, node.version, settings.redis_url, settings.root_path, hub.path if hub else None)
    return [
        *streams.routes(stream),
        *chats.routes(stream, callers, history),
        *job_routes.routes(endpoint, callers, history, publisher, settings.root_path),
        *events.routes(endpoint, callers, publisher),
        *tickets.routes(endpoint, callers, history, node.ticket_key),
        *cluster.routes(endpoint, callers, reader, node.disconnects),
        *health.routes(
            endpoint,
            health.HealthCalls(
                node.streams,
                redis_serves=node.is_served,
                figures=figures,
                token=settings.metrics_token,
                version=node.version,
                root_path=settings.root_path,
                mercure=settings.mercure,
            ),
        ),
        *pages.routes(endpoint, pages_of),
        *jobs.routes(stream),
        *clients.routes(stream, callers, reader, publisher),
        *generation.routes(stream),
        *tasks.routes(stream),
        *video.routes(stream),
        *ai.routes(stream, endpoint, callers, history, publisher),
        *(hub.routes(endpoint) if hub else []),
    ]


def _lifespan(node: Node) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with node.running():
            yield

    return lifespan


def create_router(node: Node, app: Starlette) -> Router:
    """What finds the way of every request, before it comes to the application."""
    settings = node.settings
    steps: list[RequestStep] = [Forwarded(TrustedProxies(settings.trusted_proxies))]
    if settings.root_path:
        steps.append(RootPath(settings.root_path))
    if settings.allowed_hosts:
        steps.append(AllowedHosts(settings.allowed_hosts))
    return Router([*steps, raw_path], app.routes, _cross_origin(node))


def _cross_origin(node: Node) -> Wrapper | None:
    listed = node.settings.cors_origins
    return functools.partial(CrossOrigin, listed=listed, local_pages=node.dev) if listed or node.dev else None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPError | ValueError)
    if isinstance(error, StoreDown):
        log.warning("redis.request_failed", words=error)
    return responses.error_response(as_http_error(error))


async def _starlette_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return responses.error_response(NotFound("There is nothing at this path."))
    if error.status_code == 405:
        response = responses.error_response(MethodNotAllowed("This path does not know the method."))
        response.headers["allow"] = ", ".join(_methods(request))
        return response
    return responses.error_response(BadRequest(error.detail))


def _methods(request: Request) -> list[str]:
    """What the path may be asked, over all routes that share it."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    at_path = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in at_path for method in route.methods or ()})


async def _internal(request: Request, error: Exception) -> Response:
    """Ours to mend: the log has the traceback, the caller learns nothing of it."""
    return responses.error_response(InternalError())
