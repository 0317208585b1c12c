"""Why a stream ends or is refused: each reason has a name, a sentence, and whether to come back.

The names label the log line, the metric and ``stream.close``.
"""

from __future__ import annotations

from enum import Enum


class Closing(Enum):
    """``value`` is (name, sentence, reconnect)."""

    FINISHED = ("finished", "The job has ended and everything was sent.", False)
    EXPIRED = ("token_expired", "The token has expired; connect again with a new one.", False)
    DISCONNECTED = ("disconnected", "An administrator has ended this client's streams.", False)
    FORBIDDEN = ("forbidden", "The channel may no longer be read with this token.", False)
    AGE = ("max_age", "The stream has reached its maximum age.", True)
    DRAINING = ("draining", "The node is stopping; another one takes over.", True)
    STALLED = ("stalled", "The client accepted nothing for too long.", True)
    LOST = ("history_lost", "What was missed is lost, and this dialect has no word for that.", True)
    GONE = ("client_gone", "The client has closed the connection.", True)
    PROTOCOL = ("protocol_error", "The client sent data on an open stream.", True)
    NODE_LIMIT = ("node_limit", "The node holds as many streams as it may.", True)
    USER_LIMIT = ("user_limit", "This user holds as many streams as allowed.", True)
    RATE_LIMIT = ("rate_limit", "Too many new streams per second on this node.", True)
    REDIS_DOWN = ("redis_down", "The node has no connection to Redis.", True)
    INTERNAL = ("internal_error", "The node could not serve the stream.", True)

    @property
    def reason(self) -> str:
        return self.value[0]

    @property
    def sentence(self) -> str:
        return self.value[1]

    @property
    def reconnect(self) -> bool:
        return self.value[2]
