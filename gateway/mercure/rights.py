"""What a token grants on the hub, in the words of either version. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.auth.errors import INVALID, AuthError
from gateway.mercure.rules import MAX_DETAILS, MAX_SELECTOR_BYTES, is_plain
from gateway.mercure.selector import SelectorKind, TopicGrants, TopicSelector

DETAIL_TYPES: Final = ("mercure", "https://mercure.rocks/authorization-detail")
"""The draft's name, and that of the hubs which follow it."""
PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"
MATCH_TYPES: Final = {"exact": SelectorKind.EXACT, "urlpattern": SelectorKind.URL_PATTERN}


class SubscribeDetail(NamedTuple):
    """What is told of subscriptions to these topics."""

    grants: TopicGrants
    payload: Any


class HubRights(NamedTuple):
    """``modern``: the token follows 1.0. ``details`` are in the token's order, of which the first that fits counts."""

    modern: bool
    publish: TopicGrants
    subscribe: TopicGrants
    details: tuple[SubscribeDetail, ...] = ()

    def payload(self, selector: TopicSelector) -> Any:
        """What the token says of this subscription; None for nothing."""
        for detail in self.details:
            if any(each == selector or each.matches(selector.text) for each in detail.grants.selectors):
                return detail.payload
        return None


NO_RIGHTS: Final = HubRights(False, TopicGrants(), TopicGrants())


def classic_rights(claims: Mapping[str, Any]) -> HubRights:
    """0.x: the claim ``mercure``. Raises :class:`AuthError`."""
    claim = claims.get("mercure")
    if claim is None:
        return NO_RIGHTS
    if not isinstance(claim, dict):
        raise _bad("The claim mercure must be an object.")
    publish, subscribe = (TopicGrants(_texts(claim.get(name), name)) for name in (PUBLISH, SUBSCRIBE))
    everything = TopicGrants((TopicSelector(SelectorKind.TOPIC, "*"),))
    payload = claim.get("payload")
    details = () if payload is None else (SubscribeDetail(everything, payload),)
    return HubRights(False, publish, subscribe, details)


def _texts(value: object, name: str) -> tuple[TopicSelector, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_DETAILS * MAX_DETAILS:
        raise _bad(f"mercure.{name} must be a list of topic selectors.")
    return tuple(TopicSelector(SelectorKind.TOPIC, _text(each)) for each in value)


def modern_rights(claims: Mapping[str, Any], base: str) -> HubRights:
    """1.0: the claim ``authorization_details``; one bad detail of the hub's spoils the token. ``base`` is the hub's
    address. Raises :class:`AuthError`."""
    given = claims.get("authorization_details", [])
    if not isinstance(given, list):
        raise _bad("authorization_details must be a list.")
    own = [each for each in given if isinstance(each, dict) and each.get("type") in DETAIL_TYPES]
    if len(own) > MAX_DETAILS or not all(isinstance(each, dict) for each in given):
        raise _bad(f"authorization_details must be objects, at most {MAX_DETAILS} of them the hub's.")
    publish: list[TopicSelector] = []
    subscribe: list[TopicSelector] = []
    details: list[SubscribeDetail] = []
    for detail in own:
        actions, topics = _actions(detail.get("actions")), _topics(detail.get("topics"), base)
        payload = detail.get("payload")
        if payload is not None and not isinstance(payload, dict):
            raise _bad("A payload must be an object.")
        publish += topics if PUBLISH in actions else ()
        if SUBSCRIBE in actions:
            subscribe += topics
            details.append(SubscribeDetail(TopicGrants(topics), payload))
    return HubRights(True, TopicGrants(tuple(publish)), TopicGrants(tuple(subscribe)), tuple(details))


def _actions(value: object) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise _bad("The actions of a detail must be a list of texts.")
    return value


def _topics(value: object, base: str) -> tuple[TopicSelector, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DETAILS:
        raise _bad(f"The topics of a detail must be a list of 1 to {MAX_DETAILS} matchers.")
    return tuple(_matcher(each, base) for each in value)


def _matcher(value: object, base: str) -> TopicSelector:
    if not isinstance(value, dict):
        raise _bad("A matcher must be an object.")
    kind = MATCH_TYPES.get(_text(value.get("match_type", "exact")))
    if kind is None:
        raise _bad(f"A match_type is none of {', '.join(MATCH_TYPES)}.")
    selector = TopicSelector(kind, _text(value.get("match")), base if kind is SelectorKind.URL_PATTERN else "")
    try:
        _ = selector.pattern
    except ValueError as error:
        raise _bad(f"A matcher cannot be used. {error}") from None
    return selector


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value.encode(errors="replace")) > MAX_SELECTOR_BYTES or not is_plain(value):
        raise _bad(f"A selector must be text of at most {MAX_SELECTOR_BYTES} bytes without control characters.")
    return value


def _bad(sentence: str) -> AuthError:
    return AuthError(INVALID, sentence)
