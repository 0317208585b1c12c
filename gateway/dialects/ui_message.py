"""A message of the UI message stream (v1), told piece by piece: the chunks, and how far it has been told. Pure.

A text is told as a start, deltas and an end; every other part is a chunk already. The id of a text is its place among
the message's parts, so that each node says the same of it, live and replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Self

from gateway.fanout import sse
from publisher import channels as names

MessagePart = Mapping[str, Any]

DONE: Final = b"data: [DONE]\n\n"
TEXTS: Final = ("text", "reasoning")
"""Parts that grow: their pieces are joined."""
OWN: Final = ("start", "finish", "error", "abort")
"""Chunks that frame a message, beside those of texts: no part may pass for one of them."""


def chunk(type_: str, **fields: Any) -> bytes:
    """One chunk as an unnamed event."""
    return sse.json_block({"type": type_, **fields})


class Addition:
    """What an event adds to its message: some of a text (``kind``, ``text``), or a whole part (``chunk``) at
    ``index``. Only the event of a text does not say its place, but how much text came before (``offset``)."""

    __slots__ = ("chunk", "index", "kind", "offset", "text")

    def __init__(
        self, kind: str, index: int | None, text: str = "", offset: int = 0, chunk: MessagePart | None = None
    ) -> None:
        self.kind = kind
        self.index = index
        self.text = text
        self.offset = offset
        self.chunk = chunk

    @property
    def is_first(self) -> bool:
        """Whether a message may begin with it."""
        return self.offset == 0 and not self.index


def addition_of(type_: str, data: Any) -> Addition | None:
    """What the data of an event of this type adds; None for all other events, and for data that no answer has
    written: whoever may publish to Redis may write anything there."""
    if not isinstance(data, dict):
        return None
    if type_ == names.TEXT:
        text, offset = data.get("text"), _number(data.get("offset"))
        return Addition("text", None, text, offset) if isinstance(text, str) and offset is not None else None
    part, index = data.get("part"), _number(data.get("index"))
    if type_ != names.PART or index is None or not isinstance(part, dict):
        return None
    if part.get("type") == "reasoning":
        text = part.get("text")
        return Addition("reasoning", index, text) if isinstance(text, str) else None
    return Addition("", index, chunk=part) if _is_chunk(part.get("type")) else None


def _is_chunk(type_: object) -> bool:
    return isinstance(type_, str) and type_ not in OWN and not type_.startswith(("text-", "reasoning-"))


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class Telling:
    """How far a message has been told: ``count`` parts, of which the last one goes on where ``open`` says what it is
    (a text or reasoning), with ``length`` characters so far; ``points`` is all its text. What tells returns complete
    events, and moves on."""

    __slots__ = ("_digest", "count", "length", "open", "points")

    def __init__(self) -> None:
        self.count = 0
        self.open = ""
        self.length = 0
        self.points = 0
        self._digest = blake2b(digest_size=16)

    def copy(self) -> Self:
        other = type(self)()
        other.count, other.open, other.length, other.points = self.count, self.open, self.length, self.points
        other._digest = self._digest.copy()
        return other

    @property
    def place(self) -> tuple[int, str, int]:
        return self.count, self.open, self.length

    # What is told ---

    def fits(self, piece: Addition) -> bool:
        """Whether a piece continues what has been told."""
        if piece.index is None:
            return piece.offset == self.points
        return piece.index == self.count - (bool(piece.kind) and self.open == piece.kind)

    def piece(self, piece: Addition) -> list[bytes]:
        """What an event adds."""
        if piece.chunk is not None:
            assert piece.index is not None
            return self._part(piece.index, piece.chunk)
        return self._text(piece.kind, piece.index, piece.text)

    def rest(self, parts: Sequence[MessagePart]) -> list[bytes]:
        """What comes after this in a message of these parts, its texts as a whole."""
        said: list[bytes] = []
        if self.open:
            said += self._text(self.open, self.count - 1, _text_of(parts[self.count - 1])[self.length :])
        for index in range(self.count, len(parts)):
            part = parts[index]
            kind = part.get("type")
            said += self._text(kind, index, _text_of(part)) if kind in TEXTS else self._part(index, part)
        return said

    def end(self) -> list[bytes]:
        """The end of the text that goes on, if one does."""
        if not self.open:
            return []
        ended, self.open = self.open, ""
        return [chunk(f"{ended}-end", id=str(self.count - 1))]

    def _text(self, kind: str, index: int | None, text: str) -> list[bytes]:
        said: list[bytes] = []
        if self.open != kind or index not in (None, self.count - 1):
            said = self.end()
            self.count = self.count + 1 if index is None else index + 1
            self.open, self.length = kind, 0
            self._digest.update(b"\xff" + kind.encode())
            said.append(chunk(f"{kind}-start", id=str(self.count - 1)))
        if text:
            self.length += len(text)
            self.points += len(text) if kind == "text" else 0
            self._digest.update(text.encode("utf-8", "surrogatepass"))
            said.append(chunk(f"{kind}-delta", id=str(self.count - 1), delta=text))
        return said

    def _part(self, index: int, part: MessagePart) -> list[bytes]:
        said = self.end()
        block = sse.json_block(part)
        self.count = index + 1
        self._digest.update(b"\xffpart" + block)
        return [*said, block]

    # Where it goes on ---

    def is_within(self, parts: Sequence[MessagePart]) -> bool:
        """Whether a message of these parts is long enough to have all that has been told."""
        if not self.open or len(parts) != self.count:
            return len(parts) >= self.count
        return len(_text_of(parts[-1])) >= self.length

    def begins(self, parts: Sequence[MessagePart]) -> bool:
        """Whether a message of these parts begins with what has been told."""
        if not self.is_within(parts):
            return False
        other = told_up_to(parts, self.count, self.length if self.open else None)
        return other is not None and other._digest.digest() == self._digest.digest()


class Regained:
    """A message that Redis had lost and its worker writes again, until all is there that had been told of it."""

    def __init__(self, parts: Sequence[MessagePart]) -> None:
        self.parts = [*parts]
        self._end = Telling()
        self._end.rest(parts)

    def fits(self, piece: Addition) -> bool:
        return self._end.fits(piece)

    def add(self, piece: Addition) -> None:
        self._end.piece(piece)
        if piece.chunk is not None:
            self.parts.append(piece.chunk)
        elif self.parts and self.parts[-1].get("type") == piece.kind:
            self.parts[-1] = {"type": piece.kind, "text": _text_of(self.parts[-1]) + piece.text}
        else:
            self.parts.append({"type": piece.kind, "text": piece.text})


def told_up_to(parts: Sequence[MessagePart], count: int, length: int | None) -> Telling | None:
    """Where a stream stands that was told ``count`` of these parts, the last of them with ``length`` characters so far
    (None: it does not go on); None where it cannot stand there."""
    telling = Telling()
    if length is None:
        telling.rest(parts[:count])
        telling.open = ""
        return telling
    telling.rest(parts[: count - 1])
    last = parts[count - 1]
    text = _text_of(last)
    if last.get("type") not in TEXTS or length > len(text):
        return None
    telling._text(last["type"], count - 1, text[:length])
    return telling


def told_before(parts: Sequence[MessagePart], events: Iterable[tuple[str, Any]], *, complete: bool) -> Telling | None:
    """Where a stream stands that lacks these events (type and data), after which, and others where they are not
    ``complete``, the message has these parts.

    The first of them that adds something says it: a text by how much text there was before, all others by their place.
    None where that cannot be told.
    """
    pieces = [piece for type_, data in events if (piece := addition_of(type_, data)) is not None]
    if not complete and (not pieces or pieces[0].kind == "reasoning"):
        return None
    if not pieces:
        return told_up_to(parts, len(parts), len(_text_of(parts[-1])) if parts and _grows(parts[-1]) else None)
    first = pieces[0]
    if first.kind == "text":
        return _before_text(parts, first.offset)
    assert first.index is not None
    if first.index >= len(parts):
        return None
    if first.kind:
        length = len(_text_of(parts[first.index])) - _joined(pieces, first.index)
        if length:
            return told_up_to(parts, first.index + 1, length) if length > 0 else None
    return _at_begin_of(parts, first.index)


def _before_text(parts: Sequence[MessagePart], offset: int) -> Telling | None:
    """Where a stream stands that has had ``offset`` characters of text, and lacks what comes next of it."""
    passed = 0
    for index, part in enumerate(parts):
        if part.get("type") == "text":
            size = len(_text_of(part))
            if offset == passed:
                return _at_begin_of(parts, index)
            if offset < passed + size:
                return told_up_to(parts, index + 1, offset - passed)
            passed += size
    return None


def _at_begin_of(parts: Sequence[MessagePart], index: int) -> Telling | None:
    """Where a stream stands that has everything before this part: the text before it has not been ended yet."""
    grows = index > 0 and _grows(parts[index - 1])
    return told_up_to(parts, index, len(_text_of(parts[index - 1])) if grows else None)


def _joined(pieces: Iterable[Addition], index: int) -> int:
    """How much these pieces add to the part at this place."""
    return sum(len(piece.text) for piece in pieces if piece.index == index)


def _grows(part: MessagePart) -> bool:
    return part.get("type") in TEXTS


def _text_of(part: MessagePart) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else ""
