"""What a request can be answered instead of what it asked for.

Each error knows its status, code and headers; the sentence says what to do. They become answers in one place
(``gateway.http.responses``).
"""

from __future__ import annotations

import random
from typing import Final

from gateway.closing import Closing

REFUSAL_RETRY_S: Final = (5, 30)
"""Who comes too early is sent away for between so long and so long, so that not all come back at once."""


class HTTPError(Exception):
    """The root: a request that is refused."""

    status = 400
    code = "bad_request"
    closes = False
    """Whether the connection ends with the answer, because the rest of the request is not wanted."""
    passes = False
    """Whether the same request may well succeed later."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    @property
    def headers(self) -> dict[str, str]:
        """What the answer's head says because of it."""
        said: dict[str, str] = {}
        if self.passes:
            said["retry-after"] = str(random.randint(*REFUSAL_RETRY_S))
        if self.closes:
            said["connection"] = "close"
        return said


class BadRequest(HTTPError):
    """The request makes no sense as it is."""


class Unauthorized(HTTPError):
    """No token, or a bad one, where a good one is needed."""

    status = 401
    code = "unauthorized"

    challenge = 'Bearer realm="sse-gateway"'
    """The value of ``WWW-Authenticate`` (RFC 6750)."""

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, "www-authenticate": self.challenge}


class Forbidden(HTTPError):
    """The token does not allow this."""

    status = 403
    code = "forbidden"


class NotFound(HTTPError):
    """It is not there, or not for this caller: the two are answered alike."""

    status = 404
    code = "not_found"


class MethodNotAllowed(HTTPError):
    """The route does not know this method."""

    status = 405
    code = "method_not_allowed"


class Conflict(HTTPError):
    """It is there already, or has ended."""

    status = 409
    code = "conflict"


class TooLarge(HTTPError):
    """The body or an event is larger than allowed."""

    status = 413
    code = "too_large"


class BodyTooLarge(TooLarge):
    """The body is larger than any may be; it was not read to its end."""

    closes = True


class RequestTimeout(HTTPError):
    """The body did not arrive in time."""

    status = 408
    code = "timeout"
    closes = True


class TooManyCalls(HTTPError):
    """The caller has enough under way."""

    status = 429
    code = "too_many_calls"
    passes = True


class Unavailable(HTTPError):
    """What it takes is not there right now: mostly Redis."""

    status = 503
    code = "unavailable"
    passes = True


class StoreDown(Unavailable):
    """Redis did not answer, or not usefully. Nothing can be said about the data. As text it says what happened, for the
    log; who asked learns that it was Redis."""

    def __init__(self, happened: str) -> None:
        super().__init__(happened)
        self.sentence = "Redis does not answer; try again later."


class InternalError(HTTPError):
    """A mistake of the node's own."""

    status = 500
    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("The node failed to answer; its log says why.")


class Refused(HTTPError):
    """A stream cannot be served now; the client should come back."""

    status = 503
    passes = True

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.sentence)
        self.closing = closing
        self.code = closing.reason
        if closing in (Closing.NODE_LIMIT, Closing.USER_LIMIT, Closing.RATE_LIMIT):
            self.status = 429


def forget_way(error: BaseException) -> None:
    """Let go of the frames that an error came through. They hold what the request held and the error itself, so that
    only the collector would free them, which comes late for what has lived for seconds."""
    error.__traceback__ = error.__context__ = error.__cause__ = None


def as_http_error(raised: HTTPError | ValueError) -> HTTPError:
    """What is answered to what a handler has raised: a ``ValueError`` is the sentence of a check of values."""
    return raised if isinstance(raised, HTTPError) else BadRequest(str(raised))
