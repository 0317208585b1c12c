"""The events that all systems carry: 190 bytes of JSON that say when they were published."""

from __future__ import annotations

import time
from typing import Final

import orjson

BYTES: Final = 190
FILLER: Final = "x" * (BYTES - len('{"message":"@0123456789012345 "}'))


def message() -> str:
    """A text with the mark that the load client looks for: "@" and the microsecond of now (CLOCK_MONOTONIC)."""
    return f"@{time.monotonic_ns() // 1000:016d} {FILLER}"


def data() -> dict[str, str]:
    """What the publisher is given."""
    return {"message": message()}


def encoded() -> bytes:
    """The same as JSON, for systems that carry bytes."""
    return orjson.dumps(data())
