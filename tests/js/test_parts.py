"""The table of an answer's parts against the AI SDK's own schema: what one takes the other takes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from publisher.core import parts
from tests.js.test_js import HERE, INSTALL, MODULES

pytestmark = [
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js and npm: install nodejs and npm"),
    pytest.mark.skipif(not (MODULES / "ai").is_dir(), reason=f"needs {INSTALL}"),
]

SAMPLES: dict[str, Any] = {
    parts.TEXT[0]: "x",
    parts.BOOL[0]: True,
    parts.MAP[0]: {"a": 1},
    parts.METADATA[0]: {"a": {"b": 1}},
    parts.SAID[0]: [{"type": "text", "text": "x"}, {"type": "file", "url": "u", "mediaType": "m"}],
    parts.ENCODING[0]: "json",
    parts.ANY[0]: {"c": [1]},
}
WRONG: tuple[Any, ...] = (
    5,
    None,
    ["x"],
    [{"type": "text"}],
    [{"type": "file", "url": "u"}],
    [{"type": "x", "text": "x"}],
    [{}],
)


def chunks() -> Iterator[dict[str, Any]]:
    """Every type with all its fields and with the least, each field of the wrong kind, each missing."""
    for kind, chunk in {**parts.CHUNKS, "data-x": parts.DATA_CHUNK}.items():
        least = {"type": kind, **{name: SAMPLES[holds[0]] for name, holds in chunk.required.items()}}
        most = {**least, **{name: SAMPLES[holds[0]] for name, holds in chunk.optional.items()}}
        yield from (least, most)
        for name, holds in {**chunk.required, **chunk.optional}.items():
            if holds is parts.ANY:
                continue  # the SDK takes anything there, nothing too
            yield from ({**most, name: wrong} for wrong in WRONG if not holds[1](wrong))
            if name in chunk.required:
                yield {each: value for each, value in most.items() if each != name}
    yield from ({"type": kind} for kind in ("weather", "data", "tool-output", "", "Data-x"))


def taken(chunk: dict[str, Any]) -> bool:
    try:
        parts.check(chunk)
    except ValueError:
        return False
    return True


def test_the_sdk_takes_what_an_answer_takes_and_refuses_what_it_refuses() -> None:
    asked = list(chunks())
    done = subprocess.run(
        ["node", "parts.mjs"], cwd=HERE, input=json.dumps(asked), capture_output=True, text=True, timeout=60, check=True
    )
    says = json.loads(done.stdout)
    assert len(says) == len(asked) > 100
    assert [chunk for chunk, good in zip(asked, says, strict=True) if good != taken(chunk)] == []
