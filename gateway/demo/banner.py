"""What ``dev`` prints when it is up: where to look and what to copy. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BOLD: Final = "1"
FAINT: Final = "2"
GREEN: Final = "32"
YELLOW: Final = "33"


class Paint:
    """Colours for a terminal; none where ``on`` is false."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on else text


def banner(
    base: str,
    broker_url: str,
    *,
    version: str,
    pages: Iterable[tuple[str, str]],
    program: str,
    demo: bool,
    anonymous: bool,
    paint: Paint,
) -> str:
    """``pages`` are (path, what is there). The curl lines work as they are, any number of times."""
    token = "" if anonymous else f' -H "Authorization: Bearer {_token(base)}"'
    rows = [(base + path, words) for path, words in pages]
    rows.append((broker_url, "the broker, for your workers"))
    width = max(len(place) for place, _ in rows) + 2
    lines = [f"{paint(BOLD + ';' + GREEN, 'sse-gateway')} {version} runs at {paint(BOLD, base)}", ""]
    lines += [f"  {place:{width}}{paint(FAINT, words)}" for place, words in rows]
    if demo:
        lines += ["", paint(FAINT, "Watch a job from its beginning to its end:")]
        lines += [f"  curl -N -L -d kind=character{token} {base}/dev/watch"]
    lines += ["", paint(FAINT, "Listen to a topic, and publish to it from another terminal:")]
    lines += [f'  curl -N{token} "{base}/v1/events?channel=topic:news"']
    lines += [f"""  {program} publish topic:news hello '{{"text": "Hello"}}' --redis-url {broker_url}"""]
    return "\n".join([*lines, "", paint(FAINT, "Ctrl-C ends it.")])


def _token(base: str) -> str:
    """A shell expression that fetches a token."""
    return f"$(curl -s {base}/dev/token | cut -d '\"' -f 4)"
