"""A publication: from the body of a form to an update, checked. Pure."""

from __future__ import annotations

import re
import uuid
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from gateway.exceptions import BadRequest, TooLarge
from gateway.mercure import url_pattern
from gateway.mercure.hub_update import HubUpdate
from gateway.mercure.rules import (
    ALL,
    EARLIEST,
    HUB_TYPE,
    MAX_ID_CHARACTERS,
    MAX_TOPIC_BYTES,
    MAX_TOPICS,
    MAX_TYPE_BYTES,
    PATH,
    is_plain,
)

FORM: Final = "application/x-www-form-urlencoded"
OTHER_FIELDS: Final = 100
_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_UNRESERVED_OCTET: Final = re.compile(r"%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])")


class HubAddress(NamedTuple):
    """Where the hub is, as its clients see it: ``origin`` and the path before the hub's own (mostly none)."""

    origin: str
    root: str

    @property
    def url(self) -> str:
        return f"{self.origin}{self.root}{PATH}"


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == FORM


def read_form(body: bytes, address: HubAddress, max_data_bytes: int) -> HubUpdate:
    """Raises :class:`BadRequest` and :class:`TooLarge`."""
    fields = _fields(body)
    topics = tuple(dict.fromkeys(fields.get("topic", ())))
    if not topics:
        raise BadRequest("The form has no topic.")
    if len(topics) > MAX_TOPICS:
        raise TooLarge(f"An update may have {MAX_TOPICS} topics.")
    for topic in topics:
        _check_topic(topic, address)
    data = _first(fields, "data").encode()
    if len(data) > max_data_bytes:
        raise TooLarge(f"The data is larger than {max_data_bytes} bytes (GATEWAY_MAX_EVENT_BYTES).")
    return HubUpdate(
        _id(_first(fields, "id")), topics, data, "private" in fields, _type(_first(fields, "type")), _retry(fields)
    )


def _fields(body: bytes) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_TOPICS + OTHER_FIELDS,
        )
    except UnicodeDecodeError:
        raise BadRequest("The form is not UTF-8.") from None
    except ValueError:
        raise TooLarge(f"The form has more than {MAX_TOPICS + OTHER_FIELDS} fields.") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


def _first(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def _check_topic(topic: str, address: HubAddress) -> None:
    if not topic or not is_plain(topic):
        raise BadRequest("A topic is empty, or has control or format characters.")
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise TooLarge(f"A topic is longer than {MAX_TOPIC_BYTES} bytes.")
    if topic == ALL:
        raise BadRequest("The topic * stands for all topics, and cannot be published on.")
    if is_reserved(topic, address):
        raise BadRequest(f"Topics at {PATH} are the hub's own.")


def is_reserved(topic: str, address: HubAddress) -> bool:
    """Whether a topic's path is the hub's, or below it, wherever it is: it could pass for what the hub itself says."""
    plain = _UNRESERVED_OCTET.sub(lambda found: chr(int(found[1], 16)), topic)
    return any(pattern.test(plain) for pattern in _reserved(address))


@lru_cache(maxsize=64)
def _reserved(address: HubAddress) -> tuple[url_pattern.HubPattern, ...]:
    roots = dict.fromkeys((address.root, ""))
    return tuple(url_pattern.with_path(f"{root}{PATH}{rest}", address.url) for root in roots for rest in ("", "/*"))


def _id(given: str) -> str:
    if not given:
        return f"urn:uuid:{uuid.uuid4()}"
    if len(given) > MAX_ID_CHARACTERS:
        raise TooLarge(f"The id is longer than {MAX_ID_CHARACTERS} characters.")
    if not is_plain(given) or given.startswith("#") or given == EARLIEST:
        raise BadRequest(f"The id may not begin with #, be {EARLIEST!r}, or have control or format characters.")
    return given


def _type(given: str) -> str:
    if len(given.encode()) > MAX_TYPE_BYTES:
        raise TooLarge(f"The type is longer than {MAX_TYPE_BYTES} bytes.")
    if not is_plain(given) or given == HUB_TYPE:
        raise BadRequest(f"The type may not be {HUB_TYPE!r}, or have control or format characters.")
    return given


def _retry(fields: dict[str, list[str]]) -> int | None:
    given = _first(fields, "retry")
    if not given:
        return None
    if not _DIGITS.fullmatch(given):
        raise BadRequest("retry must be a whole number of milliseconds.")
    return int(given)
