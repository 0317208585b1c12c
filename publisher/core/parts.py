"""What a part of an answer may be beside its text: a chunk of the UI message stream of the AI SDK. Pure.

The table is that of the SDK's ``uiMessageChunkSchema`` (npm package ``ai``, versions 5 to 7): a client refuses a whole
answer for one chunk that is not in it. Fields that it does not name are passed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from publisher import jsontext

OWN: Final = frozenset({"start", "finish", "error", "abort", "reset-step"})
"""What the node says by itself, from the answer's life; and what would take back what others have been told."""
OWN_BEGINNINGS: Final = ("text-", "reasoning-")
DATA: Final = "data-"

Kind = tuple[str, Callable[[object], bool]]
"""How an error names what a field holds, and whether a value is that."""


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _is_metadata(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(inner, dict) for inner in value.values())


def _is_said(value: object) -> bool:
    """What a user says in the middle of an answer."""
    return isinstance(value, list) and all(
        isinstance(part, dict)
        and all(isinstance(part.get(name), str) for name in _SAID.get(str(part.get("type")), ("",)))
        for part in value
    )


_SAID: Final = {"text": ("text",), "file": ("url", "mediaType")}
TEXT: Final[Kind] = ("text", lambda value: isinstance(value, str))
BOOL: Final[Kind] = ("true or false", lambda value: isinstance(value, bool))
MAP: Final[Kind] = ("an object", _is_map)
METADATA: Final[Kind] = ("an object of objects", _is_metadata)
SAID: Final[Kind] = ("a list of parts of type text or file", _is_said)
ENCODING: Final[Kind] = ("'json' or 'text'", lambda value: value in ("json", "text"))
ANY: Final[Kind] = ("any JSON value", lambda value: True)


class Chunk(NamedTuple):
    """The fields of one type: those that must be there, and those that may."""

    required: Mapping[str, Kind]
    optional: Mapping[str, Kind]


_CALL: Final[dict[str, Kind]] = {"toolCallId": TEXT}
_NAMED: Final[dict[str, Kind]] = {**_CALL, "toolName": TEXT}
_BY: Final[dict[str, Kind]] = {"providerMetadata": METADATA}
_TOOL: Final[dict[str, Kind]] = {"providerExecuted": BOOL, "dynamic": BOOL, "toolMetadata": MAP, **_BY}
_TITLED: Final[dict[str, Kind]] = {**_TOOL, "title": TEXT}
_FILE: Final[dict[str, Kind]] = {"url": TEXT, "mediaType": TEXT}

CHUNKS: Final[Mapping[str, Chunk]] = {
    "tool-input-start": Chunk(_NAMED, {**_TITLED, "inputEncoding": ENCODING}),
    "tool-input-delta": Chunk({**_CALL, "inputTextDelta": TEXT}, {}),
    "tool-input-available": Chunk({**_NAMED, "input": ANY}, _TITLED),
    "tool-input-error": Chunk({**_NAMED, "input": ANY, "errorText": TEXT}, _TITLED),
    "tool-approval-request": Chunk(
        {"approvalId": TEXT, **_CALL}, {"reason": TEXT, "isAutomatic": BOOL, "signature": TEXT}
    ),
    "tool-approval-response": Chunk(
        {"approvalId": TEXT, "approved": BOOL}, {"reason": TEXT, "providerExecuted": BOOL, **_BY}
    ),
    "tool-output-available": Chunk({**_CALL, "output": ANY}, {**_TOOL, "preliminary": BOOL}),
    "tool-output-error": Chunk({**_CALL, "errorText": TEXT}, _TOOL),
    "tool-output-denied": Chunk(_CALL, {}),
    "source-url": Chunk({"sourceId": TEXT, "url": TEXT}, {"title": TEXT, **_BY}),
    "source-document": Chunk({"sourceId": TEXT, "mediaType": TEXT, "title": TEXT}, {"filename": TEXT, **_BY}),
    "file": Chunk(_FILE, _BY),
    "custom": Chunk({"kind": TEXT}, _BY),
    "steering-message": Chunk({"id": TEXT, "parts": SAID}, {}),
    "start-step": Chunk({}, {}),
    "finish-step": Chunk({}, {}),
    "message-metadata": Chunk({"messageMetadata": ANY}, {}),
}
DATA_CHUNK: Final = Chunk({"data": ANY}, {"id": TEXT, "transient": BOOL})

BEGINS: Final = frozenset({"tool-input-start", "tool-input-available", "tool-input-error"})
"""After these a client knows the tool call; after the first of them it takes pieces of its input."""
NEEDS: Final[Mapping[str, str]] = {
    "tool-input-delta": "started",
    "tool-approval-request": "call",
    "tool-approval-response": "approval",
    **dict.fromkeys(("tool-output-available", "tool-output-error", "tool-output-denied"), "call"),
}
_BEFORE: Final = {
    "started": "tool-input-start",
    "call": "tool-input-available",
    "approval": "tool-approval-request",
}


class ToolCalls:
    """The tool calls that have begun in an answer: what comes later of a call names one of them."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    def note(self, part: Mapping[str, Any]) -> None:
        """A part that is there."""
        kind, call = part.get("type"), part.get("toolCallId")
        if kind in BEGINS:
            self._known.add(("call", str(call)))
        if kind == "tool-input-start":
            self._known.add(("started", str(call)))
        elif kind == "tool-approval-request":
            self._known.add(("approval", str(part.get("approvalId"))))

    def take_in(self, others: ToolCalls) -> None:
        """Calls that somebody else knows of."""
        self._known |= others._known

    def lacks(self, part: Mapping[str, Any]) -> str | None:
        """Why a part cannot come now, as a sentence; None where it can."""
        need = NEEDS.get(part["type"])
        if need is None:
            return None
        name = part["approvalId" if need == "approval" else "toolCallId"]
        if (need, name) in self._known:
            return None
        before = _BEFORE[need]
        return f"The part {part['type']} belongs to {name[:60]!r}, which has not begun: send {before} first."


def check(part: object) -> bytes:
    """The part as JSON text. Raises ``ValueError`` for what is no chunk that may stand in an answer."""
    if not isinstance(part, dict):
        raise ValueError(f"A part must be a dict with a type, not {type(part).__name__}.")
    kind = part.get("type")
    if not isinstance(kind, str):
        raise ValueError("A part must have a type, such as 'data-weather' or 'tool-input-available'.")
    chunk = _chunk(kind)
    for name, value in part.items():
        holds = chunk.required.get(name) or chunk.optional.get(name)
        if holds is not None and not holds[1](value):
            raise ValueError(f"The field {name} of the part {kind} must be {holds[0]}; leave out what is not there.")
    missing = [name for name in chunk.required if name not in part]
    if missing:
        raise ValueError(f"The part {kind} needs the field {', '.join(missing)}.")
    # Two levels more than an event's data may have: the state puts parts into a list, and that into the job.
    text = jsontext.dump([[part]], "part")[2:-2]
    if (b"__proto__" in text or b"constructor" in text) and _soils(jsontext.load(text)):
        raise ValueError("A part may hold no key __proto__, and no prototype in a constructor: clients refuse them.")
    return text


def _chunk(kind: str) -> Chunk:
    found = CHUNKS.get(kind)
    if found is not None:
        return found
    if kind.startswith(DATA):
        return DATA_CHUNK
    if kind in OWN or kind.startswith(OWN_BEGINNINGS):
        raise ValueError(f"The part {kind[:60]} is the gateway's own: use text(), reasoning() and the answer's end.")
    raise ValueError(f"There is no part {kind[:60]!r}; a type of your own begins with {DATA}.")


def _soils(value: object) -> bool:
    """Whether a key in it would reach the prototype of a client's objects."""
    if isinstance(value, dict):
        inner = value.get("constructor")
        if "__proto__" in value or (isinstance(inner, dict) and "prototype" in inner):
            return True
        return any(map(_soils, value.values()))
    return isinstance(value, list) and any(map(_soils, value))
