"""Who may be meant by an update: the node's selections, found by the names of topics, and those that have to look.

A node is subscribed to one channel for all updates of the hub while it has any subscriber, whatever that selects: one
order, one chain of marks that shows a gap, and one history to repair it from. So that those who name their topics do
not pay for each other, an update is looked up here by its topics, and only patterns are tried one by one.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from gateway.fanout.channel import ByEncoder
from gateway.fanout.encoder import Encoder
from gateway.mercure import hub_update
from gateway.mercure.encoder import MercureEncoder
from gateway.mercure.selector import Selection
from publisher.envelope import Event

Encoders = weakref.WeakSet[MercureEncoder]


class HubAudience:
    """Holds nothing of a selection that no stream has any more."""

    def __init__(self, *, guarded: bool) -> None:
        self._guarded = guarded
        self._encoders: weakref.WeakValueDictionary[Selection, MercureEncoder] = weakref.WeakValueDictionary()
        self._by_text: dict[str, Encoders] = {}
        self._looking: Encoders = weakref.WeakSet()

    @property
    def texts(self) -> int:
        """How many topics are selected by their names."""
        return len(self._by_text)

    def encoder(self, selection: Selection) -> MercureEncoder:
        """The encoder of this selection, which all streams share that have it."""
        encoder = self._encoders.get(selection)
        if encoder is None:
            encoder = MercureEncoder(selection, guarded=self._guarded)
            # First, because the last to be registered is the first to be told: the sets are without it by then.
            weakref.finalize(encoder, self._forget, selection.texts).atexit = False
            self._encoders[selection] = encoder
            for text in selection.texts:
                self._by_text.setdefault(text, weakref.WeakSet()).add(encoder)
            if selection.patterns:
                self._looking.add(encoder)
        return encoder

    def _forget(self, texts: frozenset[str]) -> None:
        for text in texts:
            encoders = self._by_text.get(text)
            if encoders is not None and not encoders:
                del self._by_text[text]

    def of(self, events: Sequence[Event], members: ByEncoder) -> ByEncoder:
        """Those members for whom one of the events may be."""
        asked: set[Encoder] = set(self._looking)
        for event in events:
            update = hub_update.read(event)
            for topic in update.topics if update is not None else ():
                asked |= set(self._by_text.get(topic, ()))
        return {encoder: members[encoder] for encoder in asked if encoder in members}
