"""Events of one channel as its history has them: the published bytes, made :class:`Event` only where one is looked at.

A crowd that resumes has a hundred thousand of them, of which most streams say nothing but what was published. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, overload

from gateway.fanout import sse
from publisher.envelope import Event, Raw, RawFields, split_all


class RawPage(Sequence[Event]):
    """Oldest first."""

    __slots__ = ("_channel", "_raws")

    def __init__(self, channel: str, raws: Sequence[RawFields]) -> None:
        self._channel = channel
        self._raws = raws

    @classmethod
    def of(cls, channel: str, messages: Sequence[bytes]) -> Self | None:
        """None where any of these messages is of another kind than most, or cannot be read."""
        raws = split_all(messages)
        return None if raws is None else cls(channel, raws)

    def __len__(self) -> int:
        return len(self._raws)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> RawPage: ...
    def __getitem__(self, index: int | slice) -> Event | RawPage:
        if isinstance(index, slice):
            return RawPage(self._channel, self._raws[index])
        return Raw(*self._raws[index]).event(self._channel)

    def after(self, number: int) -> RawPage:
        """Those with a higher number."""
        return RawPage(self._channel, [raw for raw in self._raws if int(raw[1]) > number])

    def links(self) -> list[tuple[bytes, int, bytes, bytes]]:
        """Epoch, number, mark and the mark before it, of each."""
        return [(epoch, int(seq), mark, prev) for epoch, seq, mark, prev, _, _, _ in self._raws]

    def of_type(self, name: str) -> list[Event]:
        """Those of this type."""
        wanted = name.encode()
        return [Raw(*raw).event(self._channel) for raw in self._raws if raw[5] == wanted]

    def frames(self, start: bytes, tag: bytes) -> list[bytes]:
        """Each as it was published, behind its id line, which begins with ``start``."""
        begin = start + tag
        return [
            b"%b.%b.%b.%b\n%b" % (begin, epoch, seq, mark, sse.data_block(data, kind))
            for epoch, seq, mark, _, _, kind, data in self._raws
        ]
