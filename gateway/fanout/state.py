"""Where a stream stands in its life, and which way it may go from there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class State(Enum):
    """What a stream is doing. Only :class:`~gateway.fanout.connection.Connection` changes it, as this table says:

    ========  ========  ================================================================================
    from      to        when
    ========  ========  ================================================================================
    opening   live      the first words are queued, and every channel was joined
    opening   behind    the first words are queued, and some channel's history goes on after them
    live      behind    the queue is full, and an event does not go in: all channels are left
    behind    live      the last channel that was behind is joined
    opening   ending    it is told to end (its job has ended, it may not read on, the client talks, …)
    live      ending    it is told to end
    behind    ending    it is told to end
    any       closed    the socket is gone, or the last words were said, or it failed
    ========  ========  ================================================================================

    *opening* lasts for one turn of the loop: nobody else runs meanwhile. *live* is a member of all its channels, and
    has no task. *behind* is a member of those that are not in ``Connection.behind``; a task reads on for the others.
    *ending* may still be a member, and then gets events until its task says the last words: what came before the end
    is not lost. The first reason to end counts. *closed* is a member of nothing and writes nothing; it is final.

    Whether the peer takes bytes (``Connection.paused``) is another matter: it may change in every state but *closed*.
    """

    OPENING = "opening"
    LIVE = "live"
    BEHIND = "behind"
    ENDING = "ending"
    CLOSED = "closed"

    __hash__ = object.__hash__  # that of an Enum is a function in Python, and a stream changes its state at each turn


# A look at a member of an Enum costs more than one at a global, and some of these are on the hot path.
OPENING: Final = State.OPENING
LIVE: Final = State.LIVE
BEHIND: Final = State.BEHIND
ENDING: Final = State.ENDING
CLOSED: Final = State.CLOSED

_NEXT: Final[Mapping[State, frozenset[State]]] = {
    OPENING: frozenset({LIVE, BEHIND, ENDING, CLOSED}),
    LIVE: frozenset({BEHIND, ENDING, CLOSED}),
    BEHIND: frozenset({LIVE, ENDING, CLOSED}),
    ENDING: frozenset({CLOSED}),
    CLOSED: frozenset(),
}


def after(state: State, to: State) -> State:
    """``to``, if it may follow ``state``. Raises ``AssertionError`` where it may not: that is a mistake of ours, and a
    stream that went on would be told things twice or never."""
    if to not in _NEXT[state]:
        raise AssertionError(f"A stream that is {state.value} cannot become {to.value}.")
    return to
