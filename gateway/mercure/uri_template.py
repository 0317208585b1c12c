"""Which texts a URI template (RFC 6570) can expand to, in time that is bounded for every template and text.

The usual translation into a regular expression backtracks, and a subscriber may send any template. Here the places
that the beginning of a template can lead to are one integer with a bit for each, and a step of the template moves all
of them at once: a literal shifts them, an expression lets them run over the characters it allows.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.mercure.rules import MAX_TOPICS

UNRESERVED: Final = string.ascii_letters + string.digits + "-._~"
RESERVED: Final = ":/?#[]@!$&'()*+,;="
_EXPRESSION: Final = re.compile(r"\{([+#./;?&]?)([^{}]*)\}")
_VARIABLE: Final = re.compile(
    r"((?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*)(\*|:[1-9][0-9]{0,3})?"
)
_PERCENT: Final = re.compile(r"%(?=[0-9A-Fa-f]{2})")


class _Operator(NamedTuple):
    """How RFC 6570 expands: what stands in front, between values, whether names do, and the characters."""

    first: str
    separator: str
    named: bool
    allowed: str


_OPERATORS: Final = {
    "": _Operator("", ",", False, UNRESERVED + ","),
    "+": _Operator("", ",", False, UNRESERVED + RESERVED),
    "#": _Operator("#", ",", False, UNRESERVED + RESERVED),
    ".": _Operator(".", ".", False, UNRESERVED + ","),
    "/": _Operator("/", "/", False, UNRESERVED + ","),
    ";": _Operator(";", ";", True, UNRESERVED + ",="),
    "?": _Operator("?", "&", True, UNRESERVED + ",="),
    "&": _Operator("&", "&", True, UNRESERVED + ",="),
}


class _Expansion(NamedTuple):
    """An expression, which may also expand to nothing: ``first``, then values of ``allowed`` characters with at most
    ``more`` separators between them (None: any number)."""

    first: str
    separator: str
    allowed: str
    more: int | None


class MarkedText:
    """A text, and where each character stands in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = 1 << len(text)
        self._places: dict[str, int] = {}
        for index, character in enumerate(text):
            self._places[character] = self._places.get(character, 0) | 1 << index
        self._percent = sum(1 << found.start() for found in _PERCENT.finditer(text))
        self.inside_octets = (self._percent << 1 | self._percent << 2) & (self.end - 1)
        """Places in the middle of an encoded octet, where no value begins or ends."""
        self._masks: dict[str, int] = {}

    def places(self, character: str) -> int:
        return self._places.get(character, 0)

    def allowed(self, characters: str) -> int:
        """Where one of the characters stands, or one of an encoded octet."""
        mask = self._masks.get(characters)
        if mask is None:
            mask = self._percent | self._percent << 1 | self._percent << 2
            for character in self._places.keys() & set(characters):
                mask |= self._places[character]
            self._masks[characters] = mask
        return mask


class URITemplate:
    """``prefix`` is what all its expansions begin with."""

    def __init__(self, steps: list[str | _Expansion]) -> None:
        self._steps = steps
        self.prefix = steps[0] if steps and isinstance(steps[0], str) else ""
        self._suffix = steps[-1] if steps and isinstance(steps[-1], str) else ""

    def test(self, topic: str) -> bool:
        """Whether the template can expand to ``topic``."""
        if not topic.startswith(self.prefix) or not topic.endswith(self._suffix):
            return False
        text = marked(topic)
        reached = 1
        for step in self._steps:
            reached = _literal(text, reached, step) if isinstance(step, str) else reached | _run(text, reached, step)
            if not reached:
                return False
        return bool(reached & text.end)


@lru_cache(maxsize=MAX_TOPICS)
def marked(text: str) -> MarkedText:
    """An update's topics, all of them, are looked at by the templates of one selection after the other."""
    return MarkedText(text)


def parse(template: str) -> URITemplate | None:
    """The template, or None for text that is none (a lone brace, a bad name)."""
    steps: list[str | _Expansion] = []
    at = 0
    for found in _EXPRESSION.finditer(template):
        literal = template[at : found.start()]
        run = _expression(found[1], found[2])
        if run is None or "{" in literal or "}" in literal:
            return None
        steps += [literal, run] if literal else [run]
        at = found.end()
    rest = template[at:]
    if "{" in rest or "}" in rest:
        return None
    return URITemplate([*steps, rest] if rest or not steps else steps)


def _expression(operator: str, variables: str) -> _Expansion | None:
    names = [_VARIABLE.fullmatch(each) for each in variables.split(",")]
    if not all(names):
        return None
    first, separator, named, allowed = _OPERATORS[operator]
    exploded = any(each is not None and each[2] == "*" for each in names)
    if exploded and not named:
        allowed += "="  # names of a map
    if separator in allowed:
        return _Expansion(first, separator, allowed, 0)
    return _Expansion(first, separator, allowed, None if exploded else len(names) - 1)


def _literal(text: MarkedText, reached: int, literal: str) -> int:
    for character in literal:
        reached = (reached & text.places(character)) << 1
        if not reached:
            return 0
    return reached


def _run(text: MarkedText, reached: int, run: _Expansion) -> int:
    reached = _literal(text, reached, run.first)
    allowed = text.allowed(run.allowed)
    if run.more is None:
        return _over(text, reached, allowed | text.places(run.separator))
    found = reached = _over(text, reached, allowed)
    for _ in range(run.more):
        reached = _over(text, _literal(text, reached, run.separator), allowed)
        if not reached & ~found:
            break
        found |= reached
    return found


def _over(text: MarkedText, reached: int, allowed: int) -> int:
    """From each place that is reached on over any number of allowed characters: the carry of an addition runs through
    a row of ones, and leaves a trace in each of them."""
    return (reached | (allowed + (reached & allowed)) ^ allowed) & ~text.inside_octets
