"""A small file from elsewhere, by HTTP: bounded in size and in time, whatever the other side does."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

USER_AGENT: Final = "sse-gateway"


class DownloadError(Exception):
    """It could not be had; the message says why, as the end of a sentence, and does not repeat the address."""


def download(url: str, *, timeout_s: float, max_bytes: int) -> bytes:
    """The body of ``url``, which must answer with it itself: redirects are not followed.

    Blocks for little more than ``timeout_s``. Raises :class:`DownloadError`.
    """
    request = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": USER_AGENT})
    with Deadline(timeout_s) as deadline:
        opener = urllib.request.build_opener(_NoRedirects, _Http(deadline), _Https(deadline))
        try:
            with opener.open(request, timeout=timeout_s) as response:
                body: bytes = response.read(max_bytes + 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DownloadError(_late(timeout_s) if deadline.passed else _reason(error)) from None
        if deadline.passed:
            raise DownloadError(_late(timeout_s))
    if len(body) > max_bytes:
        raise DownloadError(f"it is larger than {max_bytes} bytes")
    return body


class Deadline:
    """Cuts the connections that were made with :meth:`connect` when its time has passed.

    The timeout of a socket is no bound: it begins anew with every byte, and who sends one now and then would hold a
    thread for ever, in the head of an answer as well as in a TLS handshake.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def connect(self, *args: Any, **options: Any) -> socket.socket:
        """Like ``socket.create_connection``."""
        made = socket.create_connection(*args, **options)
        with self._lock:
            self._watched.append(made.dup())  # TLS takes the first one apart
            if self.passed:
                self._cut()
        return made

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._watched:
                watched.close()
            self._watched.clear()

    def _pass(self) -> None:
        with self._lock:
            self.passed = True
            self._cut()

    def _cut(self) -> None:
        for watched in self._watched:
            with contextlib.suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Keys come from the configured address only."""
        return


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_watched(http.client.HTTPConnection, self._deadline), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_watched(http.client.HTTPSConnection, self._deadline), request)


def _watched(kind: type[http.client.HTTPConnection], deadline: Deadline) -> Callable[..., http.client.HTTPConnection]:
    def make(host: str, **options: Any) -> http.client.HTTPConnection:
        connection = kind(host, **options)
        connection._create_connection = deadline.connect  # type: ignore[attr-defined]
        return connection

    return make


def _late(timeout_s: float) -> str:
    return f"it was not complete within {timeout_s:g} s"


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"the endpoint answered {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, http.client.HTTPException | UnicodeError):
        return "the answer is not HTTP"
    return str(error) or type(error).__name__
