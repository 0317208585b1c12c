"""How the C library keeps the memory that Python gives back.

The state that a stream of an answer begins with may have a megabyte, and is copied for each stream. glibc learns from
the first one that is freed to take such blocks from its heap, where the small objects of a connection settle in the
holes that they leave. Then the next ones do not fit, and the node grows by them for every crowd that comes and goes.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

LARGE: Final = 512 * 1024
"""Blocks from here on go back to the system when they are freed. Above what asyncio reads into, 256 KiB each time."""
SPARE: Final = 32 * 1024 * 1024
"""So much free memory may stay at the end of the heap: what is needed again at once is not asked for again."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_CHOSEN: Final = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def give_back_large_blocks() -> None:
    """For this process, where the C library is glibc and nobody has said it in the environment otherwise."""
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _CHOSEN):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, LARGE)
    mallopt(_M_TRIM_THRESHOLD, SPARE)
