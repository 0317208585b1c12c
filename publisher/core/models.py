"""What the Python libraries of models say while they stream, as pieces of an answer. Pure; imports none of them.

Known by their shape: chunks of OpenAI's chat completions (which many others speak too), events of OpenAI's responses,
and events of Anthropic's messages, raw or from its ``stream()`` helper. Words become text and reasoning; a tool call
becomes ``tool-input-start`` and, when its input is complete, ``tool-input-available``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from publisher.core.pieces import PART, REASONING, TEXT

Said = tuple[str, Any]
"""The kind of a piece, and its words or its part."""

_WORDS: Final = {
    "response.output_text.delta": TEXT,
    "response.refusal.delta": TEXT,
    "response.reasoning_text.delta": REASONING,
    "response.reasoning_summary_text.delta": REASONING,
}
_ANTHROPIC: Final = {"text_delta": (TEXT, "text"), "thinking_delta": (REASONING, "thinking")}


class ModelReader:
    """Reads one model's stream; remembers the tool calls whose input is still arriving."""

    def __init__(self) -> None:
        self._calls: dict[object, _ToolInput] = {}

    def read(self, said: Any) -> Iterator[Said]:
        """What there is to be written of it, perhaps nothing. Raises ``ValueError`` for what no model says."""
        if isinstance(said, str):
            yield TEXT, said
        elif isinstance(said, dict):
            yield PART, said
        elif (choices := getattr(said, "choices", None)) is not None:
            for choice in choices[:1]:
                yield from self._choice(choice)
        elif isinstance(kind := getattr(said, "type", None), str):
            yield from self._event(kind, said)
        else:
            raise ValueError(
                f"stream() takes text, parts, and what the libraries of OpenAI and Anthropic stream, not "
                f"{type(said).__name__}. Take the text out of it."
            )

    def finish(self) -> Iterator[Said]:
        """The stream has ended: input of tools that nobody has said to be complete."""
        for place in list(self._calls):
            yield from self._complete(place)

    def _choice(self, choice: Any) -> Iterator[Said]:
        """OpenAI: a choice of a chunk of a chat completion."""
        delta = getattr(choice, "delta", None)
        for name in ("reasoning_content", "reasoning"):  # not OpenAI's own, but of many who speak its format
            if isinstance(words := getattr(delta, name, None), str) and words:
                yield REASONING, words
                break
        for name in ("content", "refusal"):
            if words := getattr(delta, name, None):
                yield TEXT, words
        for call in getattr(delta, "tool_calls", None) or ():
            function = getattr(call, "function", None)
            if call.index not in self._calls and call.id:
                yield self._begin(call.index, call.id, getattr(function, "name", None))
            self._more(call.index, getattr(function, "arguments", None))
        if getattr(choice, "finish_reason", None):
            yield from self.finish()

    def _event(self, kind: str, event: Any) -> Iterator[Said]:
        if kind in _WORDS:
            yield _WORDS[kind], event.delta
        elif kind == "chunk":  # OpenAI's stream() helper; its other events say the same once more
            yield from self.read(event.chunk)
        elif kind == "content_block_delta":
            delta = event.delta
            if delta.type in _ANTHROPIC:
                piece, name = _ANTHROPIC[delta.type]
                yield piece, getattr(delta, name)
            elif delta.type == "input_json_delta":
                self._more(event.index, delta.partial_json)
        elif kind == "content_block_start" and event.content_block.type == "tool_use":
            yield self._begin(event.index, event.content_block.id, event.content_block.name)
        elif kind == "content_block_stop":
            yield from self._complete(event.index)
        elif kind == "response.output_item.added" and event.item.type == "function_call":
            yield self._begin(event.output_index, event.item.call_id, event.item.name)
        elif kind == "response.function_call_arguments.delta":
            self._more(event.output_index, event.delta)
        elif kind == "response.output_item.done":
            yield from self._complete(event.output_index)
        elif kind in ("response.failed", "error"):
            raise RuntimeError(f"The model failed: {_reason(event)}")

    def _begin(self, place: object, call_id: str, name: str | None) -> Said:
        self._calls[place] = call = _ToolInput(call_id, name or "tool")
        return PART, {"type": "tool-input-start", "toolCallId": call.id, "toolName": call.name}

    def _more(self, place: object, text: str | None) -> None:
        if text and place in self._calls:
            self._calls[place].text += text

    def _complete(self, place: object) -> Iterator[Said]:
        call = self._calls.pop(place, None)
        if call is not None:
            yield PART, call.part()


class _ToolInput:
    """The input of one tool call, which arrives as JSON text in pieces."""

    def __init__(self, call_id: str, name: str) -> None:
        self.id = call_id
        self.name = name
        self.text = ""

    def part(self) -> dict[str, Any]:
        """What is said of it when no more is to come."""
        common = {"toolCallId": self.id, "toolName": self.name}
        try:
            return {"type": "tool-input-available", **common, "input": orjson.loads(self.text or "{}")}
        except orjson.JSONDecodeError:
            wrong = "The model's input for the tool is no JSON."
            return {"type": "tool-input-error", **common, "input": self.text, "errorText": wrong}


def _reason(event: Any) -> str:
    error = getattr(getattr(event, "response", None), "error", None) or getattr(event, "error", None) or event
    return str(getattr(error, "message", None) or "it gave no reason")
