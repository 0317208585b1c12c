"""What the hub takes and what not: its addresses, its limits, and which texts may stand where. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

PATH: Final = "/.well-known/mercure"
SUBSCRIPTIONS: Final = f"{PATH}/subscriptions"
METADATA_PATH: Final = f"/.well-known/oauth-protected-resource{PATH}"
EARLIEST: Final = "earliest"
ALL: Final = "*"
HUB_TYPE: Final = "mercure"
"""The event type of what the hub itself says, which no publisher may use."""

MAX_SELECTORS: Final = 100
MAX_SELECTOR_BYTES: Final = 4096
MAX_VARIABLES: Final = 256
"""In all templates of one subscription: each is a step, for each of them, with every update."""
MAX_TOPICS: Final = 1000
MAX_TOPIC_BYTES: Final = 4096
MAX_ID_CHARACTERS: Final = 255
MAX_TYPE_BYTES: Final = 1024
MAX_DETAILS: Final = 100
"""Authorization details of a token, and matchers of each of them."""

_REFUSED: Final = frozenset({"Cc", "Cf", "Cs"})


def is_plain(text: str) -> bool:
    """Whether text has no control characters (C0, DEL, C1) and no format characters, which could pass for others."""
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(character) in _REFUSED for character in text)
