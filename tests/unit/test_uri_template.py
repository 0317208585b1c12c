"""URI templates match what they can expand to, and never take long about it."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mercure import uri_template
from gateway.mercure.rules import MAX_TOPICS
from gateway.mercure.uri_template import RESERVED, UNRESERVED

FITS = [
    ("foo", "foo"),
    ("https://example.com/books/{id}", "https://example.com/books/1"),
    ("https://example.com/books/{id}", "https://example.com/books/"),
    ("https://example.com/books/{id}", "https://example.com/books/a%2Fb"),
    ("https://example.com/{+path}", "https://example.com/a/b?c=d#e"),
    ("{#frag}", "#a/b"),
    ("{.ext}", ".tar.gz"),
    ("/a{/one}{/two}", "/a/b/c"),
    ("/a{/one}{/two}", "/a"),
    ("/a{/all*}", "/a/b/c/d/e"),
    ("{;x,y}", ";x=1;y=2"),
    ("x{?a,b}", "x?a=1&b=2"),
    ("x{?all*}", "x?a=1&b=2&c=3&d=4"),
    ("x{&a}", "x&a=1"),
    ("{list*}", "a=1,b=2"),
    ("{x:3}y", "abcy"),
    ("a{x}b{y}c", "a1b2bc"),
    ("{x}%41", "%41%41"),
    ("{x}", ""),
]
FAILS = [
    ("foo", "foo "),
    ("https://example.com/books/{id}", "https://example.com/books/1/2"),
    ("https://example.com/books/{id}", "https://example.com/books/\u00e9"),
    ("https://example.com/books/{id}", "https://example.com/books/%2"),
    ("/a{/one}{/two}", "/a/b/c/d"),
    ("x{?a,b}", "x?a=1&b=2&c=3"),
    ("{;x,y}", ";x=1;y=2;z=3"),
    ("{x}", "a b"),
    ("{x}y", "xz"),
    ("{x}", "a/b"),
]


@pytest.mark.parametrize(("template", "topic"), FITS)
def test_what_a_template_can_expand_to_fits(template: str, topic: str) -> None:
    parsed = uri_template.parse(template)
    assert parsed is not None
    assert parsed.test(topic)


@pytest.mark.parametrize(("template", "topic"), FAILS)
def test_what_it_cannot_expand_to_does_not(template: str, topic: str) -> None:
    parsed = uri_template.parse(template)
    assert parsed is not None
    assert not parsed.test(topic)


@pytest.mark.parametrize(
    "text", ["{", "}", "a{b", "a}b", "{}", "{a b}", "{!a}", "{a:0}", "{a:}", "{a,}", "{{a}}", "{a}}"]
)
def test_what_is_no_template_is_none(text: str) -> None:
    assert uri_template.parse(text) is None


def _as_regexp(template: str) -> re.Pattern[str]:
    """The usual translation, which is right and may take for ever."""
    unit = "(?:[{}]|%[0-9A-Fa-f]{{2}})*".format
    simple, reserved = unit(re.escape(UNRESERVED + ",")), unit(re.escape(UNRESERVED + RESERVED))
    parts = re.split(r"(\{[^}]*\})", template)
    shapes = {
        "{x}": f"(?:{simple})?",
        "{+x}": f"(?:{reserved})?",
        "{/x}": f"(?:/{simple})?",
        "{/x*}": f"(?:/(?:{unit(re.escape(UNRESERVED + ',=/'))}))?",
    }
    return re.compile("".join(shapes.get(part, re.escape(part)) for part in parts))


PIECES = st.sampled_from(["{x}", "{+x}", "{/x}", "{/x*}", "a", "b", "/", "%41", ".", " "])


@given(st.lists(PIECES, max_size=6).map("".join), st.text("ab/%41. ?", max_size=12))
@example("{x}", "%4")
@example("{x}a", "aaa")
def test_it_says_what_the_usual_regular_expression_says(template: str, topic: str) -> None:
    parsed = uri_template.parse(template)
    assert parsed is not None
    assert parsed.test(topic) is (_as_regexp(template).fullmatch(topic) is not None)


@pytest.mark.parametrize(
    "template",
    [
        "{a}" * 1300,
        "{a}a" * 1000 + "!",
        "{/a*}" * 800,
        "{;" + ",".join("a" * 1) + "}" * 1,
        "{?" + ",".join(["a"] * 2000) + "}",
    ],
)
def test_the_longest_ones_take_no_time(template: str) -> None:
    """Not a measurement: the usual expression takes longer than anybody waits."""
    parsed = uri_template.parse(template)
    assert parsed is not None
    began = time.process_time()
    for topic in ("a" * 4095, "/a" * 2047, "?a=1" + "&a=1" * 1000, "%41" * 1300):
        parsed.test(topic)
    assert time.process_time() - began < 10


def test_the_topics_of_an_update_are_marked_once_for_all_templates() -> None:
    """However many it has: marking a long one takes longer than a look at it."""
    topics = [f"x{number}" for number in range(MAX_TOPICS)]
    templates = [uri_template.parse(f"{{a}}b{number}{{c}}") for number in range(3)]
    before = uri_template.marked.cache_info().misses
    assert not any(template is None or template.test(topic) for template in templates for topic in topics)
    assert uri_template.marked.cache_info().misses == before + MAX_TOPICS
