"""What the demo's chat answers: written slowly, piece by piece, as a model would. None is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from publisher import AnswerHandle, Publisher

PAUSE_S: Final = 0.1
"""Between two words,"""
PACES: Final[Mapping[str, float]] = {"quickly": 0.01, "slowly": 0.25}
"""or as the question asks for it."""
MAX_ECHO: Final = 200

Words = tuple[str, Any]
"""``text`` or ``reasoning`` and some words of it, or ``part`` and a chunk."""

SURVIVES: Final = """\
You asked: {question}

This answer is written by a worker, word by word, and each piece goes into Redis before any browser has it. Your page \
reads it over a node of the gateway, which holds nothing that another node could not find again.

So reload this page now. It asks for the answer that is being written in this chat, gets all of it so far in one \
piece, and goes on with the next word. Open a second window: it shows the same answer at the same time. Kill the node \
that is serving you: your stream breaks off, the other node takes over, and you read on where you were. Nothing is \
written twice, and nothing is missing.

Only Stop stops it. Then the worker hears of it at its next word, and what was written until then stays."""
WEATHER: Final = """\
It is {degrees} degrees in {city}, and {sky}. The forecast comes from nowhere: this worker made it up, but the call \
above travelled like a real one, first its input and then its output, each once."""
FAILURE: Final = "This answer was asked to fail halfway, and it did."


class DemoFailedAnswer(Exception):
    """The demo's answer failed because it was asked to."""


def pieces(question: str, call_id: str) -> Iterator[Words]:
    """The answer to a question, in the order in which it is written."""
    echo = question[:MAX_ECHO]
    city = re.search(r"\bweather\b(?:.*?\b[Ii]n (\w+))?", question)
    if city:
        yield from _weather(city[1] or "Oslo", call_id)
        return
    yield from _words("reasoning", "Nobody thinks here: these words stand for what a model thinks before it answers.")
    written = [*_words("text", SURVIVES.format(question=echo))]
    if re.search(r"\bfail\b", question):
        yield from written[: len(written) // 2]
        raise DemoFailedAnswer(FAILURE)
    yield from written


def _weather(city: str, call_id: str) -> Iterator[Words]:
    call = {"toolCallId": call_id, "toolName": "weather"}
    weather = {"city": city, "degrees": 3 + len(city) % 20, "sky": "the sky is clear"}
    yield "part", {"type": "tool-input-available", **call, "input": {"city": city}}
    yield from _words("reasoning", "The tool is being asked.")
    yield "part", {"type": "tool-output-available", "toolCallId": call_id, "output": weather}
    yield from _words("text", WEATHER.format(**weather))


def _words(kind: str, text: str) -> Iterator[Words]:
    for word in re.findall(r"\s*\S+", text):
        yield kind, word


def write(publisher: Publisher, given: dict[str, Any], stopped: Callable[[float], bool]) -> None:
    """Write an answer that was registered; ``stopped`` waits so many seconds, and says whether to end."""
    asked = given["question"].lower()
    pause = next((pace for word, pace in PACES.items() if word in asked), PAUSE_S)
    with publisher.answer(given["chat"], owner=given["owner"], job_id=given["job_id"]) as answer:
        for kind, words in pieces(given["question"], f"call-{given['job_id']}"):
            if stopped(pause):
                raise DemoFailedAnswer("The demo was stopped.")
            _say(answer, kind, words)


def _say(answer: AnswerHandle, kind: str, words: Any) -> None:
    if kind == "part":
        answer.part(words)
    elif kind == "reasoning":
        answer.reasoning(words)
    else:
        answer.text(words)
