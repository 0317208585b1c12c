"""A route that is not a stream: one path, a handler per method, and what is the same for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from gateway.auth.callers import Callers, user_key
from gateway.auth.principal import PUBLISH, STATS, Principal
from gateway.exceptions import Conflict, NotFound, StoreDown, TooLarge, Unavailable
from gateway.limits import CallPlaces
from publisher import AnswerTooLong, BufferFull, EventTooLarge, JobExists, JobFinished, JobNotFound, PublishError

Handler = Callable[[Request], Awaitable[Response]]

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


class Endpoints:
    """Makes such routes: ``endpoint("/v1/jobs", GET=list_jobs, POST=create_job)``.

    Whatever changes something is refused where a page of another site makes a browser send its cookie along.
    """

    def __init__(self, callers: Callers, degraded: Callable[[], bool]) -> None:
        """``degraded`` says whether Redis is away."""
        self._callers = callers
        self._degraded = degraded
        self._places = CallPlaces()

    def __call__(self, path: str, *, private: bool = False, **handlers: Handler) -> Route:
        """``private``: what may be read there is the caller's own, so reads count among what it has under way."""
        return Route(path, _Endpoint(self, handlers, private=private), methods=list(handlers))

    def place(self, caller: Principal, request: Request) -> AbstractContextManager[None]:
        """What one caller may have under way. Back ends, which publish for many, are not counted.

        Raises :class:`~gateway.exceptions.TooManyCalls`.
        """
        if caller.has(PUBLISH) or caller.has(STATS):
            return contextlib.nullcontext()
        return self._places.place(user_key(caller, request))

    async def admitted(self, request: Request) -> tuple[Principal, Request]:
        """Who asks, and the request as its handler may read it."""
        caller = await self._callers.caller(request)
        if request.method in SAFE_METHODS:
            return caller, request
        if self._degraded():
            raise Unavailable("The node has lost Redis; try again later.")
        return caller, self._while_allowed(caller, request)

    def _while_allowed(self, caller: Principal, request: Request) -> Request:
        """The same request, whose body ends with :class:`~gateway.exceptions.Unauthorized` once its caller is
        revoked."""
        receive = request.receive

        async def checked() -> Message:
            message = await receive()
            self._callers.check_revoked(caller)
            return message

        return Request(request.scope, checked)


class _Endpoint:
    """One path as an ASGI application: a caller's place is taken until the answer has left."""

    def __init__(self, common: Endpoints, handlers: Mapping[str, Handler], *, private: bool) -> None:
        self._common = common
        self._handlers = handlers
        self._private = private

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        place: AbstractContextManager[None] = contextlib.nullcontext()
        if self._private or request.method not in SAFE_METHODS:
            caller, request = await self._common.admitted(request)
            place = self._common.place(caller, request)
        handler = self._handlers["GET" if request.method == "HEAD" else request.method]
        with place:
            with publisher_errors():
                response = await handler(request)
            await response(scope, receive, send)


@contextlib.contextmanager
def publisher_errors() -> Iterator[None]:
    """What the publisher refuses, in the words of HTTP."""
    try:
        yield
    except JobNotFound:
        raise NotFound("There is no such job; create it with POST /v1/jobs first.") from None
    except JobExists as error:
        raise Conflict(str(error)) from None
    except JobFinished as error:
        raise Conflict(str(error)) from None
    except AnswerTooLong as error:
        raise TooLarge(str(error)) from None
    except EventTooLarge as error:
        raise TooLarge(str(error).replace("max_event_bytes", "GATEWAY_MAX_EVENT_BYTES")) from None
    except PublishError as error:
        raise StoreDown(str(error)) from None
    except BufferFull:
        raise Unavailable("Too many calls wait for Redis; try again later.") from None
