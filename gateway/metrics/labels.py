"""The values of each label of the metrics, with their meanings. None of them names a user, a job or a channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.closing import Closing

Values = Mapping[str, str]
"""A label's values, each with its meaning."""

DIALECTS: Final[Values] = {
    "native": "`/v1/…`",
    "jobs": "`/api/v1/sse/jobs/…`",
    "clients": "`/api/sse/subscribe/…`",
    "generation": "`/api/generation`",
    "tasks": "`/api/v1/status/tasks/…`",
    "video": "`/jobs/…/stream`",
    "ai": "`/api/chat/…/stream`",
    "mercure": "`/.well-known/mercure`",
}

_ENDS = (
    Closing.FINISHED,
    Closing.EXPIRED,
    Closing.DISCONNECTED,
    Closing.FORBIDDEN,
    Closing.AGE,
    Closing.DRAINING,
    Closing.LOST,
    Closing.STALLED,
    Closing.GONE,
    Closing.PROTOCOL,
    Closing.INTERNAL,
)
_LATER = (Closing.NODE_LIMIT, Closing.USER_LIMIT, Closing.RATE_LIMIT, Closing.DRAINING, Closing.REDIS_DOWN)

CLOSED: Final[Values] = {each.reason: each.sentence for each in _ENDS}
REFUSED: Final[Values] = {
    **{each.reason: each.sentence for each in _LATER},
    "token_required": "There was no token where one is needed.",
    "invalid_token": "The token or ticket is not good.",
    "expired_token": "The token or ticket has expired.",
    "unauthorized": "The token was revoked, or lacks the subject that the stream is about.",
    "forbidden": "The token does not allow this channel, or the page's origin may not use the cookie.",
    "not_found": "There is no such job, or not for this caller.",
    "bad_request": "The request makes no sense, such as a list of no channels.",
}
RESUMES: Final[Values] = {
    "current": "It had missed nothing.",
    "replayed": "It got what it had missed.",
    "reset": "What it had missed cannot be replayed, or its cursor made no sense; it got the newest state.",
    "ended": "Its job had ended and it knew; it was told to stop (204).",
}
RESETS: Final[Values] = {
    "history_lost": "Redis has lost the history, or a part of it.",
    "history_trimmed": "The client was away for more events than the history holds.",
    "cursor": "The client came with a cursor that makes no sense here.",
}
RECONNECTS: Final[Values] = {
    "closed": "Redis, or something on the way, ended it.",
    "deaf": "It was open and nothing arrived any more.",
    "unconfirmed": "Redis did not confirm a subscription in time.",
    "moved": "Another server is the primary now, or has the slot.",
    "unreachable": "An attempt to connect failed.",
    "refused": "Redis does not let this user subscribe; the log has its words and the remedy.",
}
UNREADABLE: Final[Values] = {
    "message": "An event, on its channel or in its history, of a format that this node does not read.",
    "meta": "Where a channel stands; it counts as a channel without events.",
    "state": "A job's state; it counts as no job.",
    "index": "A job's id on the list of a user's jobs.",
    "order": "What is no order on the nodes' own channel.",
    "revocation": "A subject that is kept as revoked or sent away; removed.",
    "secret": "The secret that signs tickets; replaced by the one that nodes know, or a new one.",
    "presence": "What a node is said to count; it counts as nothing.",
    "outbox": "Who came or went, waiting to be told; removed.",
    "key": "A key of another type than nodes and publishers write; removed where only nodes write it.",
    "reply": "An answer of Redis that no script gives.",
}
