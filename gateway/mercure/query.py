"""What a subscriber asks for: its selectors and where it goes on, from the query of its request. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from gateway.exceptions import BadRequest
from gateway.mercure.rules import MAX_SELECTOR_BYTES, MAX_SELECTORS, MAX_VARIABLES, is_plain
from gateway.mercure.selector import SelectorKind, TopicSelector

KINDS: Final = {
    "topic": SelectorKind.TOPIC,
    "match": SelectorKind.EXACT,
    "match_exact": SelectorKind.EXACT,
    "match_urlpattern": SelectorKind.URL_PATTERN,
}
RESUMES: Final = ("last_event_id", "lastEventID", "Last-Event-ID", "lastEventId")
"""1.0, 0.x as deployed, 0.x before, and what polyfills send."""
MAX_FIELDS: Final = 200


class SubscriptionQuery(NamedTuple):
    """``resume`` is the id after which to go on; None where the query has none."""

    selectors: tuple[TopicSelector, ...]
    resume: str | None


def read_query(query: bytes, base: str) -> SubscriptionQuery:
    """``base`` is the hub's address. URL patterns have not been compiled yet. Raises :class:`BadRequest`."""
    fields = _fields(query)
    selectors: list[TopicSelector] = []
    for name, value in fields:
        if name in KINDS:
            selectors.append(_selector(name, value, base))
        elif name.lower().startswith("match"):
            raise BadRequest(f"There is no selector {name[:40]!r}; there are {', '.join(KINDS)}.")
        if len(selectors) > MAX_SELECTORS:
            raise BadRequest(f"A subscription may have {MAX_SELECTORS} selectors; open several.")
    if not selectors:
        raise BadRequest("Say which topics: ?topic=…, ?match=… or ?match_urlpattern=… (several, if you like).")
    if sum(map(_variables, selectors)) > MAX_VARIABLES:
        raise BadRequest(f"The templates of a subscription may have {MAX_VARIABLES} variables; open several.")
    resumes = [value for wanted in RESUMES for name, value in fields if name == wanted]
    return SubscriptionQuery(tuple(dict.fromkeys(selectors)), resumes[0] if resumes else None)


def token_in(query: bytes) -> str:
    """A token of 0.x, which counts where that is switched on. Raises :class:`BadRequest`."""
    return next((value for name, value in _fields(query) if name == "authorization"), "")


def _fields(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise BadRequest("The query is not UTF-8 in percent-encoding.") from None
    except ValueError:
        raise BadRequest(f"The query has more than {MAX_FIELDS} fields.") from None


def _variables(selector: TopicSelector) -> int:
    """At least as many as a template has."""
    text = selector.text
    return text.count("{") + text.count(",") if selector.kind is SelectorKind.TOPIC and "{" in text else 0


def _selector(name: str, value: str, base: str) -> TopicSelector:
    if not value or not is_plain(value):
        raise BadRequest(f"The value of {name} is empty, or has control or format characters.")
    if len(value.encode()) > MAX_SELECTOR_BYTES:
        raise BadRequest(f"The value of {name} is longer than {MAX_SELECTOR_BYTES} bytes.")
    kind = KINDS[name]
    return TopicSelector(kind, value, base if kind is SelectorKind.URL_PATTERN else "")
