"""What the tests of the dialect ``ai`` share: an author whose answer grows event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import strategies as st

from publisher import channels as names
from publisher.envelope import Event
from publisher.job import Job

JOB_ID = "answer-1"
CHANNEL = f"job:{JOB_ID}"

Said = tuple[str, Any]
"""What an answer's event says: type and data."""


class Author:
    """Writes an answer as the publisher does, and keeps what its state has after each event."""

    def __init__(self) -> None:
        self.events: list[Said] = []
        self.parts: list[dict[str, Any]] = []
        self.states: list[list[dict[str, Any]]] = [[]]

    def text(self, text: str) -> None:
        offset = sum(len(part["text"]) for part in self.parts if part["type"] == "text")
        self._grow("text", text)
        self._said(names.TEXT, {"job_id": JOB_ID, "text": text, "offset": offset})

    def reasoning(self, text: str) -> None:
        index = self._grow("reasoning", text)
        part = {"type": "reasoning", "text": text}
        self._said(names.PART, {"job_id": JOB_ID, "part": part, "index": index})

    def part(self, chunk: dict[str, Any]) -> None:
        self.parts.append(chunk)
        self._said(names.PART, {"job_id": JOB_ID, "part": chunk, "index": len(self.parts) - 1})

    def other(self) -> None:
        self._said(names.PROGRESS, {"job_id": JOB_ID, "progress": 1})

    def _grow(self, kind: str, text: str) -> int:
        if self.parts and self.parts[-1]["type"] == kind:
            self.parts[-1] = {"type": kind, "text": self.parts[-1]["text"] + text}
        else:
            self.parts.append({"type": kind, "text": text})
        return len(self.parts) - 1

    def _said(self, type_: str, data: dict[str, Any]) -> None:
        self.events.append((type_, data))
        self.states.append([*self.parts])

    def go_on(self, steps: Sequence[tuple[str, Any]]) -> None:
        """Do these, one after the other."""
        for word, value in steps:
            if word == "text":
                self.text(value)
            elif word == "reasoning":
                self.reasoning(value)
            elif word == "part":
                self.part(value)
            else:
                self.other()


def author_of(steps: Sequence[tuple[str, Any]]) -> Author:
    author = Author()
    author.go_on(steps)
    return author


_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_chunks = st.builds(
    lambda name, data: {"type": f"data-{name}", "data": data}, st.sampled_from("ab"), _texts | st.integers(0, 9)
)
steps = st.lists(
    st.tuples(st.sampled_from(["text", "reasoning"]), _texts)
    | st.tuples(st.just("part"), _chunks)
    | st.tuples(st.just("other"), st.none()),
    max_size=14,
)
"""What an author does, one after the other."""


def event(seq: int, said: Said) -> Event:
    return Event(CHANNEL, "abcdefgh", seq, f"m{seq:05d}", f"m{seq - 1:05d}", 0, said[0], orjson.dumps(said[1]))


def job(parts: Sequence[dict[str, Any]], status: str = "active", **more: Any) -> Job:
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    return Job(JOB_ID, "answer", status=status, text=text, parts=[*parts], **more)  # type: ignore[arg-type]
