"""URL patterns (WHATWG) with a bound: the library's engine is linear in the text, but a pattern can make its program
large, so what may count or list much is refused before it is compiled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.closing import Closing
from gateway.exceptions import Refused

if TYPE_CHECKING:
    from urlpattern import URLPattern

MAX_WILDCARDS: Final = 8
MAX_GROUPS: Final = 64
"""Names, wildcards and groups of one pattern."""
MAX_REGEXP_CHARACTERS: Final = 256
"""Of all regular expressions within one pattern."""
MAX_REPEATS: Final = 64
"""How often the counted parts of them stand for one."""
MAX_COST: Final = 64
MAX_TOPIC_CHARACTERS: Final = 2048
"""A longer topic matches no pattern: the time for one look is bounded by this and the limits above."""
_COUNTED: Final = re.compile(r"\{([0-9]*),?([0-9]*)\}")
_CLASS: Final = re.compile(r"\\([wWdDsSbB])|\.")
_GROUP: Final = re.compile(r"(?<!\\)[:*({]")


class PatternError(ValueError):
    """The text is no URL pattern, or asks for more than this hub does for one."""


class HubPattern:
    """A compiled pattern; relative topics are resolved against the hub's own address."""

    def __init__(self, compiled: URLPattern, base: str) -> None:
        self._compiled = compiled
        self._base = base

    def test(self, topic: str) -> bool:
        if len(topic) > MAX_TOPIC_CHARACTERS:
            return False
        try:
            return bool(self._compiled.test(topic, self._base))
        except (ValueError, TypeError):
            return False  # no URL: no pattern matches it


class PatternBudget:
    """How much one user may have compiled in a second: a browser asks for a few patterns, and comes back with the same
    ones, which are at hand."""

    def __init__(self, per_s: float = 128.0) -> None:
        self._per_s = per_s
        self._second = 0
        self._spent: Counter[str] = Counter()

    def check(self, now: float, user_key: str) -> None:
        """Raises :class:`Refused`."""
        if int(now) != self._second:
            self._second = int(now)
            self._spent.clear()
        if self._spent[user_key] >= self._per_s:
            raise Refused(Closing.RATE_LIMIT)

    def compile(self, patterns: Iterable[tuple[str, str]], user_key: str) -> None:
        """Raises :class:`PatternError`."""
        for pattern, base in patterns:
            known = compiled.cache_info().misses
            try:
                compiled(pattern, base)
            finally:
                if compiled.cache_info().misses > known:
                    self._spent[user_key] += int(_weight(pattern)) + len(pattern) // 256


@lru_cache(maxsize=4096)
def compiled(pattern: str, base: str) -> HubPattern:
    """Raises :class:`PatternError`."""
    from urlpattern import URLPattern

    cost(pattern)
    try:
        return HubPattern(URLPattern(pattern, base), base)
    except (ValueError, TypeError) as error:
        raise PatternError(f"It is not a URL pattern that can be read: {str(error)[:200]}") from None


def with_path(path: str, base: str) -> HubPattern:
    """Any scheme and host, and this path."""
    from urlpattern import URLPattern

    return HubPattern(URLPattern({"pathname": path}), base)


def cost(pattern: str) -> float:
    """About what it takes to compile a pattern, in those of a simple one. Raises :class:`PatternError` for more than
    this hub does."""
    groups = _GROUP.findall(pattern)
    if len(groups) > MAX_GROUPS or groups.count("*") > MAX_WILDCARDS:
        raise PatternError(f"A URL pattern may have {MAX_GROUPS} names and groups, and {MAX_WILDCARDS} wildcards.")
    regexps = "".join(_regexps(pattern))
    if len(regexps) > MAX_REGEXP_CHARACTERS or "\\p" in regexps or "\\P" in regexps:
        raise PatternError(
            f"The regular expressions of a URL pattern may have {MAX_REGEXP_CHARACTERS} characters, and no \\p{{…}}."
        )
    repeats: int = 1
    for low, high in _COUNTED.findall(regexps):
        repeats *= max(1, int((high or low or "1")[:6]))
    words = [found.lower() == "w" for found in _CLASS.findall(regexps)]
    costs: float = repeats * (len(words) + 3 * sum(words))
    if repeats > MAX_REPEATS or costs > MAX_COST:
        raise PatternError("The regular expressions of a URL pattern count or list too much here.")
    return 1.0 + costs / 4


def _weight(pattern: str) -> float:
    try:
        return cost(pattern)
    except PatternError:
        return 1.0  # refused before it was compiled


def _regexps(pattern: str) -> list[str]:
    """What stands in parentheses, the outermost ones."""
    found: list[str] = []
    depth, start, escaped = 0, 0, False
    for index, character in enumerate(pattern):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "(":
            depth += 1
            if depth == 1:
                start = index
        elif character == ")" and depth:
            depth -= 1
            if not depth:
                found.append(pattern[start : index + 1])
    if depth:
        found.append(pattern[start:])
    return found
