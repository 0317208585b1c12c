"""The short way to the stream routes, past what all other requests go through: new streams come in storms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.stream_route import StreamRoute

METHODS: Final = frozenset({"GET", "HEAD"})


class StreamDoor:
    """Calls the stream route that a path belongs to; everything else goes on to ``app``."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = [
            (route.path_regex, route.param_convertors, route.endpoint)
            for route in routes
            if isinstance(route, Route) and isinstance(route.endpoint, StreamRoute)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in METHODS:
            path = scope["path"]
            for regex, convertors, route in self._routes:
                found = regex.match(path)
                if found:
                    scope["path_params"] = {
                        name: convertors[name].convert(value) for name, value in found.groupdict().items()
                    }
                    await route(scope, receive, send)
                    return
        await self._app(scope, receive, send)
