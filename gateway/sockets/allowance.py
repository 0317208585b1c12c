"""What one request may send, in bytes as they come from the socket, whatever they are. Pure.

What is not the body's content is framing: the head, chunk sizes and extensions, trailers. A body in chunks of a byte
would cost the parser as much as one of a megabyte, so framing has a bound of its own.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

MAX_HEAD_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 256
MAX_PARAMETERS: Final = 256
"""Of the address behind ``?``."""
MAX_FRAMING_BYTES: Final = 64 * 1024
"""A mebibyte in chunks of a hundred bytes needs as much; one in chunks of a byte would need 5 MiB."""
MAX_LATE_FRAMING_BYTES: Final = 16 * 1024
"""Of a body that was answered already: it is read only so that the connection may go on."""
MAX_CONTENT_BYTES: Final = 1024 * 1024
"""A route may allow less; this is what the connection allows, also where nobody reads it."""


class Excess(Enum):
    """What there is too much of."""

    HEAD = 431, b"The header block is larger than 16 KiB, or has more than 256 lines or 256 parameters."
    FRAMING = 413, b"The chunk sizes, extensions and trailers of the body are larger than 64 KiB; use larger chunks."
    CONTENT = 413, b"The body is larger than 1 MiB; send less at once."


class Allowance:
    """Counts one request after the other."""

    __slots__ = ("_content", "_most_framing", "_raw", "in_head")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """The next byte belongs to the head of a request, if any comes."""
        self.in_head = True
        self._raw = 0
        self._content = 0
        self._most_framing = MAX_HEAD_BYTES + MAX_FRAMING_BYTES

    def received(self, size: int) -> None:
        """So many bytes of it came, whatever they are."""
        self._raw += size

    def head_complete(self) -> None:
        self.in_head = False

    def answered(self) -> None:
        """What comes now of this request is of no use."""
        self._most_framing = min(self._most_framing, self._raw - self._content + MAX_LATE_FRAMING_BYTES)

    def content(self, size: int) -> None:
        """So many of them are content of the body."""
        self._content += size

    @property
    def begun(self) -> bool:
        """Whether anything of the request is there."""
        return self._raw > 0

    @property
    def bytes(self) -> int:
        """All that came of it."""
        return self._raw

    @property
    def contents(self) -> int:
        return self._content

    def excess(self) -> Excess | None:
        if self.in_head:
            return Excess.HEAD if self._raw > MAX_HEAD_BYTES else None
        if self._content > MAX_CONTENT_BYTES:
            return Excess.CONTENT
        return Excess.FRAMING if self._raw - self._content > self._most_framing else None


def head_too_large(url: bytes, headers: list[tuple[bytes, bytes]], received: int = MAX_HEAD_BYTES + 1) -> bool:
    """Whether a head that came in one piece, perhaps with more behind it, is beyond what a node reads. ``received`` are
    the bytes of that piece."""
    if url.count(b"&") >= MAX_PARAMETERS:
        return True
    if received <= MAX_HEAD_BYTES:
        return False
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers) > MAX_HEAD_BYTES
