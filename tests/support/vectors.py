"""The golden vectors of the wire format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from publisher.envelope import Event

FOLDER = Path(__file__).parents[1] / "vectors"


def load(name: str, part: str) -> list[dict[str, Any]]:
    """One list of ``tests/vectors/{name}.json``."""
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))[part]
    return found


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def event_of(vector: dict[str, Any]) -> Event:
    """The event that a vector describes."""
    return Event(
        channel=vector["channel"],
        epoch=vector["epoch"],
        seq=vector["seq"],
        mark=vector["mark"],
        prev=vector["prev"],
        time=vector["time"],
        type=vector["type"],
        data=vector["data"].encode(),
        id=vector["id"],
        traceparent=vector.get("traceparent"),
    )
