"""A job's state as one line with a bar, for a terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

BAR: Final = 24
BLOCKS: Final = "█░"
PLAIN: Final = "#."
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Text that cannot steer a terminal."""
    return _CONTROL.sub("�", text)


def progress_line(job: Mapping[str, Any], width: int, marks: str = BLOCKS) -> str:
    """The job's progress, as wide as the terminal at most. ``marks`` are what is done and what is not."""
    value = job.get("progress")
    percent = min(100.0, max(0.0, float(value))) if isinstance(value, int | float) else 0.0
    filled = round(BAR * percent / 100)
    words = [
        f"{percent:3.0f} %",
        marks[0] * filled + marks[1] * (BAR - filled),
        str(job.get("status") or ""),
        _count(job),
    ]
    words += [": ".join(str(job[name]) for name in ("stage", "message") if job.get(name))]
    error = job.get("error")
    if isinstance(error, dict) and error.get("message"):
        words.append(str(error["message"]))
    return printable(" ".join(word for word in words if word))[: max(1, width - 1)]


def _count(job: Mapping[str, Any]) -> str:
    current, total = job.get("current"), job.get("total")
    if not isinstance(current, int | float):
        return ""
    return f"{current:g}/{total:g}" if isinstance(total, int | float) else f"{current:g}"
