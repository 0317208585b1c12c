"""Why a call to Redis did not work, and what to do about it. Pure."""

from __future__ import annotations

import enum


class Fault(enum.Enum):
    """Why a call did not work. The value is the remedy."""

    AWAY = "Start Redis or check the URL and the network"
    FULL = "Give Redis room and check its log: it refuses writes"
    DENIED = "Check the user name, the password and the rights of this user in Redis"
    NOT_REDIS = "Check the URL: what answers there does not speak Redis's protocol"
    BROKEN = "Check that nothing else writes to the keys of this prefix"
