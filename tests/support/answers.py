"""What a reader sees of an answer: its events, and the message that they make."""

from __future__ import annotations

from typing import Any

import orjson

from tests.support.publishers import Reader


def pieces(reader: Reader, job_id: str) -> list[tuple[str, Any]]:
    """Type and data of an answer's text and parts, in the order of its history."""
    found = [(event.type, orjson.loads(event.data)) for event in reader.log(f"job:{job_id}")]
    return [(type, data) for type, data in found if type in ("job.text", "job.part")]


def message(told: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """The parts that events make, as a page puts them together; every offset and index is checked on the way."""
    parts: list[dict[str, Any]] = []
    points = 0
    for type, data in told:
        if type == "job.text":
            assert data["offset"] == points
            points += len(data["text"])
            if not parts or parts[-1]["type"] != "text":
                parts.append({"type": "text", "text": ""})
            parts[-1]["text"] += data["text"]
        elif data["part"]["type"] == "reasoning" and data["index"] == len(parts) - 1:
            assert parts[-1]["type"] == "reasoning"
            parts[-1]["text"] += data["part"]["text"]
        else:
            assert data["index"] == len(parts)
            parts.append(dict(data["part"]))
    return parts
