"""A strict reader of the AI SDK's UI message stream: it takes nothing that a client would stumble over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import orjson

from tests.support.sse_parser import SseEvent, SseParser

TEXTS = ("text", "reasoning")
ENDS = ("finish", "abort", "error")


class MessageReader:
    """Puts a message together: a text has one start, its deltas while it goes on, one end, and the place that its id
    says; ``ends`` is how it ended, ``[DONE]`` last."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.starts: list[str] = []
        self.ends: list[Any] = []
        self._open: str | None = None

    def hear(self, blocks: Iterable[bytes]) -> Self:
        """Take these bytes, each complete events."""
        for block in blocks:
            self.read(SseParser().feed(block))
        return self

    def read(self, events: Iterable[SseEvent]) -> Self:
        for event in events:
            assert event.type == "message"
            assert "[DONE]" not in self.ends, "Something came behind the end."
            if event.data == "[DONE]":
                self.ends.append(event.data)
            else:
                self._chunk(orjson.loads(event.data))
        return self

    @property
    def text(self) -> str:
        return "".join(part["text"] for part in self.parts if part["type"] == "text")

    def _chunk(self, chunk: dict[str, Any]) -> None:
        assert not self.ends
        kind, _, word = chunk["type"].rpartition("-")
        if chunk["type"] == "start":
            assert not self.parts and not self.starts
            self.starts.append(chunk["messageId"])
        elif chunk["type"] in ENDS:
            assert self._open is None
            self.ends.append(chunk)
        elif kind not in TEXTS:
            assert self._open is None
            self.parts.append(chunk)
        elif word == "start":
            assert self._open is None and chunk["id"] == str(len(self.parts))
            self._open = chunk["id"]
            self.parts.append({"type": kind, "text": ""})
        else:
            self._goes_on(kind, word, chunk)

    def _goes_on(self, kind: str, word: str, chunk: dict[str, Any]) -> None:
        assert self._open == chunk["id"] == str(len(self.parts) - 1)
        assert self.parts[-1]["type"] == kind
        if word == "end":
            self._open = None
        else:
            assert word == "delta" and chunk["delta"]
            self.parts[-1]["text"] += chunk["delta"]
