"""Random names: an event's unique id and the epoch that a new history would get.

Straight from the operating system for each event, so there is no state that two threads could share or that a
fork could copy.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from typing import Final

_LETTERS: Final = bytes((65 + n % 26) + 32 * (n // 26 % 2) for n in range(256))


def new_names(uids: int = 1) -> tuple[str, list[str]]:
    """An epoch and so many uids from one call to the operating system, which is what costs."""
    drawn = os.urandom(8 + 9 * uids)
    encoded = urlsafe_b64encode(drawn[8:]).decode("ascii")
    return drawn[:8].translate(_LETTERS).decode("ascii"), [encoded[n : n + 12] for n in range(0, 12 * uids, 12)]


def new_uid() -> str:
    """12 random URL-safe characters; the first 6 are the event's mark."""
    return urlsafe_b64encode(os.urandom(9)).decode("ascii")


def new_epoch() -> str:
    """8 random letters. Every call gets its own: two losses of one history must not end up under one epoch."""
    return os.urandom(8).translate(_LETTERS).decode("ascii")


def new_job_id() -> str:
    """32 random hex digits, for a job whose caller gives it no id."""
    return os.urandom(16).hex()
