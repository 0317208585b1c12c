"""Where every request goes first: what it is taken for, and the short way to a stream, since those come in storms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Scope

from gateway.streams.admission import AdmittingRoute

METHODS: Final = frozenset({"GET", "HEAD"})

RequestStep = Callable[[Scope], ASGIApp | None]
"""Changes a request's scope before anybody looks at it, or says what answers in place of a route."""
Wrapper = Callable[[ASGIApp], ASGIApp]


class Router:
    """``steps`` are taken for every request, in their order. ``cross_origin`` wraps what answers the pages of other
    origins; None where there may be none."""

    def __init__(self, steps: Sequence[RequestStep], routes: Iterable[BaseRoute], cross_origin: Wrapper | None) -> None:
        self._steps = steps
        self._cross_origin = cross_origin
        self._streams = [
            (route.path_regex, route.param_convertors, route.endpoint, cross_origin and cross_origin(route.endpoint))
            for route in routes
            if isinstance(route, Route) and isinstance(route.endpoint, AdmittingRoute)
        ]

    def __call__(self, scope: Scope) -> ASGIApp | None:
        """What answers a request, which has come as this scope; None for the node's application."""
        for step in self._steps:
            answer = step(scope)
            if answer is not None:
                return answer
        return self._stream(scope) if scope["method"] in METHODS else None

    def _stream(self, scope: Scope) -> ASGIApp | None:
        path = scope["path"]
        for regex, convertors, route, shared in self._streams:
            found = regex.match(path)
            if found:
                scope["path_params"] = {
                    name: convertors[name].convert(value) for name, value in found.groupdict().items()
                }
                foreign = shared and any(name == b"origin" for name, _ in scope["headers"])
                return shared if foreign else route
        return None
