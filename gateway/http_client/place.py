"""How an address is named in sentences, and why nothing came from there."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from gateway.http_client.client import CallError


def place(url: str) -> str:
    """Scheme, host and port, without user name and path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def unreachable(url: str, error: CallError) -> str:
    """The sentence for somebody who asked for ``url``; it names the scheme where that is the likely mistake."""
    here = place(url)
    if "TLS handshake" in str(error):
        return f"{here} cannot be reached ({error}); if it speaks plain HTTP, write http://."
    if "no HTTP" in str(error) and url.startswith("http:"):
        return f"{here} cannot be reached ({error}); if it speaks TLS, write https://."
    return f"{here} cannot be reached ({error}); is the node up?"


def refused(url: str, status: int, sentence: str) -> str:
    """What an answer says, for whoever asked for ``url``: of a job also what the answer is not allowed to say."""
    hint = ""
    if status == HTTPStatus.NOT_FOUND and "/v1/jobs/" in url:
        hint = " One of somebody else is answered alike: ask with its owner's token, or one with the scope admin."
    return f"{place(url)} answers {status}: {sentence}{hint}"
