"""Whether what was read from the history continues a position without a hole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import AnyStr, NamedTuple

from gateway.fanout import cursor
from gateway.fanout.raw_page import RawPage
from publisher.envelope import START, Event, Position


class Snapshot(NamedTuple):
    """A channel as one atomic read found it.

    ``top`` is its newest event; ``events`` are those after the position that was asked for, oldest first, and end at
    ``top`` unless ``more`` says that a page was full. ``state`` is the raw state hash (jobs) where it was asked for,
    ``jobs`` the ids of the user's jobs, newest last.
    """

    top: Position
    events: Sequence[Event]
    more: bool = False
    state: Mapping[bytes, bytes] | None = None
    jobs: tuple[str, ...] = ()


def missed(position: Position, snapshot: Snapshot) -> Sequence[Event] | None:
    """The events of ``snapshot`` that a reader at ``position`` lacks, or None where something cannot be replayed.

    Every event names the mark of the one before it, so the chain shows a trimmed history, a history that was lost,
    and numbers that were issued a second time after a failover.
    """
    top = snapshot.top
    if no_events_between(position, top):
        return []
    if position.seq >= top.seq or (position != START and position.epoch != top.epoch):
        return None
    if snapshot.more and snapshot.events and snapshot.events[-1].seq <= position.seq:
        return []  # the page ends before this position: nothing is known yet
    return chain(position, snapshot.events, top if not snapshot.more else None)


def no_events_between(one: Position, other: Position) -> bool:
    """Whether they are the same, or both before any event: :data:`START` and :data:`cursor.UNKNOWN` differ only in
    what is told when one comes."""
    return one == other or one.seq == other.seq == 0


def place_after(snapshot: Snapshot, *, told: bool) -> Position:
    """Where a reader of a job stands who heard of a loss, and was ``told`` its newest state or not. Who was not, since
    the job is not there until its worker has written it again, stands nowhere: what comes first does not follow there,
    and is told with the state that the page has to begin from."""
    return cursor.UNKNOWN if not told and snapshot.top == START else snapshot.top


def loss(position: Position, snapshot: Snapshot) -> str:
    """The reason of a reset, where :func:`missed` found nothing to replay: the history no longer holds this position,
    or no longer holds what came after it."""
    gone = position.epoch != snapshot.top.epoch or position.seq >= snapshot.top.seq
    return "history_lost" if gone else "history_trimmed"


def chain(position: Position, events: Sequence[Event], top: Position | None) -> Sequence[Event] | None:
    """The events after ``position`` if they form an unbroken chain (up to ``top``, where one is given), else None."""
    after: Sequence[Event]
    if isinstance(events, RawPage):
        after = page = events.after(position.seq)
        whole = _unbroken(page.links())
    else:
        after = [event for event in events if event.seq > position.seq]
        whole = _unbroken([event[1:5] for event in after])
    if not after or not whole or not after[0].follows(position):
        return None
    return None if top is not None and after[-1].position != top else after


def _unbroken(links: Sequence[tuple[AnyStr, int, AnyStr, AnyStr]]) -> bool:
    """The rule of :meth:`Event.follows` from each to the next, without a Position for each: a crowd that resumes has
    thousands of them. A link is an event's epoch, number, mark, and the mark before it."""
    if not links:
        return True
    epoch, seq, mark, _ = links[0]
    for its_epoch, its_seq, its_mark, before in links[1:]:
        seq += 1
        if its_seq != seq or before != mark or its_epoch != epoch:
            return False
        mark = its_mark
    return True
