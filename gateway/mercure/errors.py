"""What the hub refuses, in the words of RFC 6750."""

from __future__ import annotations

from gateway.exceptions import HTTPError


class MercureRefusal(HTTPError):
    """``error`` is the challenge's code, where a token was sent; ``metadata`` the address of what the hub says about
    itself (RFC 9728), for those who speak 1.0."""

    error = ""
    challenge = "Bearer"

    def __init__(self, sentence: str, metadata: str = "") -> None:
        super().__init__(sentence)
        self._metadata = metadata

    @property
    def headers(self) -> dict[str, str]:
        said = [f'error="{self.error}"'] if self.error else []
        if self._metadata:
            said.append(f'resource_metadata="{self._metadata}"')
        return {**super().headers, "www-authenticate": "Bearer" + (" " + ", ".join(said) if said else "")}


class MercureTokenMissing(MercureRefusal):
    """There is none where one is needed."""

    status = 401
    code = "token_required"


class MercureTokenBad(MercureRefusal):
    """It does not hold what it has to, or its signature is not good."""

    status = 401
    code = error = "invalid_token"


class MercureTokenOdd(MercureRefusal):
    """It came in a way that makes no sense."""

    status = 400
    code = error = "invalid_request"


class MercureNotAllowed(MercureRefusal):
    """The token is good, and does not grant this."""

    status = 403
    code = "forbidden"
    error = "insufficient_scope"
