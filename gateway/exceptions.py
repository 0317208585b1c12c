"""What a request can be answered instead of what it asked for.

Each error knows its status and code; the sentence says what to do. They become JSON in one place (``gateway.answers``).
"""

from __future__ import annotations

from gateway.auth_errors import AuthError
from gateway.closing import Closing


class HTTPError(Exception):
    """The root: a request that is refused for good."""

    status = 400
    code = "bad_request"
    closes = False
    """Whether the connection ends with the answer, because the rest of the request is not wanted."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class BadRequest(HTTPError):
    """The request makes no sense as it is."""


class Unauthorized(HTTPError):
    """No token, or a bad one, where a good one is needed."""

    status = 401
    code = "unauthorized"

    @classmethod
    def of(cls, error: AuthError) -> Unauthorized:
        """The answer to credentials that were not accepted."""
        made = cls(error.message)
        made.code = error.code
        made.challenge = error.challenge
        return made

    challenge = 'Bearer realm="sse-gateway"'
    """The value of ``WWW-Authenticate`` (RFC 6750)."""


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


class Unavailable(HTTPError):
    """Redis does not answer."""

    status = 503
    code = "unavailable"


class InternalError(HTTPError):
    """A mistake of the node's own."""

    status = 500
    code = "internal_error"


class Refused(Exception):
    """A stream cannot be served now; the client should come back."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.sentence)
        self.closing = closing
