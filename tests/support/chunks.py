"""HTTP chunks taken apart, so that a test sees where the node cut them."""

from __future__ import annotations


def dechunk(data: bytes) -> list[bytes]:
    """The chunks of this part of a chunked body, which has to end where a chunk ends."""
    chunks = []
    while data:
        size, rest = data.split(b"\r\n", 1)
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n", "a chunk is as long as it says"
        chunks.append(rest[:length])
        data = rest[length + 2 :]
    return chunks
