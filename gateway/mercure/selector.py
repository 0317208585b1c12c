"""A topic selector: which topics a subscriber listens to, or a token's bearer may read or write. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from gateway.mercure import uri_template, url_pattern
from gateway.mercure.rules import ALL, SUBSCRIPTIONS

_SPECIAL: Final = re.compile(r"[:*(){}\\?+]")
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")


class SelectorKind(StrEnum):
    """The names are those of the protocol; ``topic`` is that of 0.x, an exact text or a URI template."""

    TOPIC = "topic"
    EXACT = "exact"
    URL_PATTERN = "urlpattern"


class TopicTest(Protocol):
    def test(self, topic: str) -> bool: ...


class TopicSelector(NamedTuple):
    """``base`` is the hub's address, against which a URL pattern and the topics it looks at are resolved; it is empty
    for the other kinds."""

    kind: SelectorKind
    text: str
    base: str = ""

    @property
    def is_all(self) -> bool:
        return self.text == ALL

    @property
    def pattern(self) -> TopicTest | None:
        """What looks at a topic that is not the text itself; None where nothing can. Raises ``ValueError`` for a URL
        pattern that is none."""
        return _pattern(self)

    def matches(self, topic: str) -> bool:
        if self.kind is not SelectorKind.URL_PATTERN and self.text == topic:
            return True
        pattern = _pattern(self)
        return pattern is not None and pattern.test(topic)

    def matches_any(self, topics: Iterable[str]) -> bool:
        return any(self.matches(topic) for topic in topics)

    def may_watch(self, root: str) -> bool:
        """Whether it could be about subscriptions; where that is not clear it could."""
        literal = self.text
        if self.kind is SelectorKind.URL_PATTERN:
            literal = _ORIGIN.sub("", literal, count=1)
        literal = _SPECIAL.split(literal, maxsplit=1)[0] if self.kind is not SelectorKind.EXACT else literal
        whole = root + SUBSCRIPTIONS
        return self.is_all or whole.startswith(literal) or literal.startswith(whole)


class _Everything:
    def test(self, topic: str) -> bool:
        return True


_EVERYTHING: Final = _Everything()


@lru_cache(maxsize=8192)
def _pattern(selector: TopicSelector) -> TopicTest | None:
    if selector.is_all:
        return _EVERYTHING
    if selector.kind is SelectorKind.URL_PATTERN:
        return url_pattern.compiled(selector.text, selector.base)
    if selector.kind is SelectorKind.TOPIC and "{" in selector.text:
        return uri_template.parse(selector.text)
    return None


class TopicGrants(NamedTuple):
    """Topics that a token's bearer may read, or write."""

    selectors: tuple[TopicSelector, ...] = ()

    def any_of(self, topics: Iterable[str]) -> bool:
        topics = list(topics)
        return any(selector.matches_any(topics) for selector in self.selectors)

    def all_of(self, topics: Iterable[str]) -> bool:
        return all(any(selector.matches(topic) for selector in self.selectors) for topic in topics)


class Selection(NamedTuple):
    """What one stream gets: updates on the selected topics, private ones only where ``rights`` cover them too."""

    selectors: frozenset[TopicSelector]
    rights: TopicGrants

    @property
    def texts(self) -> frozenset[str]:
        """Topics that are selected by their very name."""
        return frozenset(each.text for each in self.selectors if each.kind is not SelectorKind.URL_PATTERN)

    @property
    def patterns(self) -> tuple[TopicTest, ...]:
        """What looks at the others."""
        return tuple(each.pattern for each in self.selectors if each.pattern is not None)

    def may_watch(self, root: str) -> bool:
        """Whether it could hear of subscriptions."""
        return any(each.may_watch(root) for each in self.rights.selectors) and any(
            each.may_watch(root) for each in self.selectors
        )
