"""Calls HTTP from here: bounded in size and in time, whatever the other side does. The one place that does.

Built on httpx, whose own timeouts begin anew with every byte that arrives; here each wait has an end. Redirects are
not followed, bodies are not decompressed, and nothing of what was sent gets into an error or the log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final, NamedTuple

import httpx

USER_AGENT: Final = "sse-gateway"
for _library in ("httpx", "httpcore"):  # they would log addresses with their tickets, and headers with their tokens
    logging.getLogger(_library).setLevel(logging.WARNING)


class CallError(Exception):
    """Nothing usable came back. The text says why, as the end of a sentence; it names neither address nor secrets."""


class CallTimeout(CallError):
    """It took longer than allowed."""

    def __init__(self) -> None:
        super().__init__("nothing arrived in time")


class CannotBeSent(CallError):
    """The address or a header holds what HTTP cannot carry."""

    def __init__(self) -> None:
        super().__init__("it holds characters that go nowhere")


class Reply(NamedTuple):
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Incoming:
    """An answer whose body is still arriving. Names of headers are in lower case; ``http_version`` is 1.0 or 1.1."""

    def __init__(self, response: httpx.Response) -> None:
        self.status: Final = response.status_code
        self.headers: Final[Mapping[str, str]] = {name.lower(): value for name, value in response.headers.items()}
        self.http_version: Final = response.http_version.removeprefix("HTTP/")
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_raw()

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()

    async def chunk(self, timeout_s: float) -> bytes:
        """What arrives next, as it was sent; empty at the end. Raises :class:`CallError`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await anext(self._chunks, b"")
        except (httpx.HTTPError, OSError) as error:
            raise _said(error) from None

    async def body(self, max_bytes: int, timeout_s: float) -> bytes:
        """All that is still to come. Raises :class:`CallError`."""
        found = bytearray()
        try:
            async with asyncio.timeout(timeout_s):
                async for chunk in self._chunks:
                    found += chunk
                    if len(found) > max_bytes:
                        raise CallError(f"it is larger than {max_bytes} bytes")
        except (httpx.HTTPError, OSError) as error:
            raise _said(error) from None
        return bytes(found)

    async def aclose(self) -> None:
        await self._response.aclose()


class HttpClient:
    """Keeps its connections until :meth:`aclose`; belongs to one event loop.

    ``tls``: what to trust, else the system's authorities, or those of ``SSL_CERT_FILE``. ``proxies``: whether
    ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY`` of the environment count.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, proxies: bool = False) -> None:
        self._tls = tls
        self._proxies = proxies
        self._client: httpx.AsyncClient | None = None

    async def call(
        self,
        url: str,
        *,
        timeout_s: float,
        max_bytes: int,
        method: str = "GET",
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """A whole answer within ``timeout_s``, connecting included. Raises :class:`CallError`."""
        try:
            async with asyncio.timeout(timeout_s):
                incoming = await self._send(method, url, headers or {}, body)
                try:
                    return Reply(incoming.status, incoming.headers, await incoming.body(max_bytes, timeout_s))
                finally:
                    await incoming.aclose()
        except TimeoutError:
            raise CallTimeout from None

    async def open(
        self, url: str, *, connect_s: float, head_s: float, headers: Mapping[str, str | bytes] | None = None
    ) -> Incoming:
        """The head of an answer that goes on. Raises :class:`CallError` where it takes longer than ``head_s`` after at
        most ``connect_s``."""
        try:
            async with asyncio.timeout(connect_s + head_s):
                return await self._send("GET", url, headers or {}, None, httpx.Timeout(None, connect=connect_s))
        except TimeoutError:
            raise CallTimeout from None

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str | bytes],
        body: bytes | None,
        timeout: httpx.Timeout | None = None,
    ) -> Incoming:
        if not url.isprintable() or " " in url:  # httpx would quietly send something else
            raise CannotBeSent
        if self._client is None:
            self._client = await self._made()
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        try:
            where = httpx.URL(url).copy_with(userinfo=b"")  # would take the place of a token
            request = self._client.build_request(
                method,
                where,
                headers=[(name.encode(), v if isinstance(v, bytes) else v.encode()) for name, v in sent.items()],
                content=body,
                timeout=timeout,
            )
            return Incoming(await self._client.send(request, stream=True))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise _said(error) from None

    async def _made(self) -> httpx.AsyncClient:
        # Reading hundreds of certificates takes its time.
        tls = await asyncio.to_thread(ssl.create_default_context) if self._tls is None else self._tls
        try:
            return httpx.AsyncClient(verify=tls, trust_env=self._proxies, follow_redirects=False, timeout=None)
        except (ImportError, ValueError):
            raise CallError("the proxy that the environment names cannot be used") from None


def _said(error: Exception) -> CallError:
    """The reason in our own words: a library's may hold what was sent."""
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return CallTimeout()
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CallError(f"the certificate is refused: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return CallError("the TLS handshake failed")
        if isinstance(cause, socket.gaierror):
            return CallError("the host name is not known here")
        if isinstance(cause, OSError) and cause.errno:
            return CallError(os.strerror(cause.errno).lower())
    if isinstance(error, httpx.RemoteProtocolError):
        cut = "peer closed" in str(error) or "disconnected" in str(error)
        return CallError("the answer broke off" if cut else "no HTTP came back")
    if isinstance(error, httpx.ProxyError):
        return CallError("the proxy that the environment names did not let it through")
    if isinstance(error, httpx.NetworkError | OSError):
        return CallError("the connection broke")
    return CannotBeSent()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Deepest first. That TLS waits for more bytes is no failure, though it is in the chain of one."""
    if error is None or isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
        return
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    yield from _causes(error.__cause__ or error.__context__)
    yield error
