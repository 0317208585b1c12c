"""A route that is not a stream: one path, a handler per method, and what is the same for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from gateway.exceptions import Conflict, NotFound, TooLarge, Unavailable
from gateway.node import Node
from gateway.principal import Principal
from publisher import BufferFull, EventTooLarge, JobExists, JobFinished, JobNotFound

Handler = Callable[[Node, Request], Awaitable[Response]]

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})


def endpoint(node: Node, path: str, **handlers: Handler) -> Route:
    """``endpoint(node, "/v1/jobs", GET=list_jobs, POST=create_job)``.

    Whatever changes something is refused where a page of another site makes a browser send its cookie along.
    """

    async def answer(request: Request) -> Response:
        if request.method not in SAFE_METHODS:
            caller = await node.caller(request)
            if node.degraded:
                raise Unavailable("The node has lost Redis; try again later.")
            request = _while_allowed(node, caller, request)
        handler = handlers["GET" if request.method == "HEAD" else request.method]
        with publisher_errors():
            return await handler(node, request)

    return Route(path, answer, methods=list(handlers))


def _while_allowed(node: Node, caller: Principal, request: Request) -> Request:
    """The same request, whose body ends with :class:`~gateway.exceptions.Unauthorized` once its caller is revoked."""
    receive = request.receive

    async def checked() -> Message:
        message = await receive()
        node.check_revoked(caller)
        return message

    return Request(request.scope, checked)


@contextlib.contextmanager
def publisher_errors() -> Iterator[None]:
    """What the publisher refuses, in the words of HTTP."""
    try:
        yield
    except JobNotFound:
        raise NotFound("There is no such job; create it with POST /v1/jobs first.") from None
    except JobExists as error:
        raise Conflict(f"There is a job {error.job_id} already; use another id.") from None
    except JobFinished as error:
        raise Conflict(str(error)) from None
    except EventTooLarge as error:
        raise TooLarge(str(error).replace("max_event_bytes", "GATEWAY_MAX_EVENT_BYTES")) from None
    except BufferFull:
        raise Unavailable("Too many calls wait for Redis; try again later.") from None
