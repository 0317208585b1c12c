"""How an update looks to those who asked for it. One encoder serves all streams of one selection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from gateway.closing import Closing
from gateway.fanout.encoder import Encoder
from gateway.mercure import hub_update
from gateway.mercure.hub_update import ReadUpdate
from gateway.mercure.selector import Selection
from publisher.envelope import Event

HEARTBEAT: Final = b":\n"


class MercureEncoder(Encoder):
    """Says published updates and comments, and nothing else."""

    name: ClassVar[str] = "mercure"
    id_start: ClassVar[bytes] = b""

    def __init__(self, selection: Selection, *, guarded: bool) -> None:
        """``guarded``: events of native topics are for those whose rights cover them, like private updates."""
        self._guarded = guarded
        self._texts = selection.texts
        self._patterns = selection.patterns
        self._rights = selection.rights

    def event(self, event: Event) -> bytes | None:
        update = hub_update.read(event)
        return update.block if update is not None and self._has(update) else None

    def _has(self, update: ReadUpdate) -> bool:
        """Whether an update on these topics (the first, or its alternates) is for this selection."""
        topics = update.topics
        closed = update.private or (update.native and self._guarded)
        if closed and not self._rights.any_of(topics):
            return False
        return not self._texts.isdisjoint(topics) or any(
            pattern.test(topic) for pattern in self._patterns for topic in topics
        )

    def frames(self, parts: Sequence[bytes], events: Sequence[Event]) -> list[bytes]:
        """Updates bring ids of their own."""
        return [block for event in events if (block := self.event(event)) is not None]

    def reset(self, channel: str, reason: str) -> None:
        """Who comes back with the last id gets what came after it, or all that is kept."""
        return None

    def heartbeat(self) -> bytes:
        return HEARTBEAT

    def refusal(self, closing: Closing) -> bytes:
        return b": %b\n\n" % closing.reason.encode()
