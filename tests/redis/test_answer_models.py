"""What the libraries of OpenAI and Anthropic stream goes into an answer as it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from publisher import AsyncPublisher, Publisher
from tests.support.recorded import recorded_model

pytestmark = pytest.mark.xdist_group("models")  # the libraries take seconds to import: once is enough

ASKED: Any = [{"role": "user", "content": "Hello?"}]
REASONING = {"type": "reasoning", "text": "Hm, so."}
TEXT = {"type": "text", "text": "Hello ✨"}
CALL: list[dict[str, Any]] = [
    {"type": "tool-input-start", "toolCallId": "call_1", "toolName": "weather"},
    {"type": "tool-input-available", "toolCallId": "call_1", "toolName": "weather", "input": {"city": "Oslo"}},
]


def chat(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=ASKED, stream=True)


def responses(client: Any) -> Any:
    return client.responses.create(model="m", input="Hello?", stream=True)


def messages(client: Any) -> Any:
    return client.messages.create(model="m", max_tokens=99, messages=ASKED, stream=True)


Ask = Callable[[Any], Any]
SAID: dict[str, tuple[Ask, list[dict[str, Any]]]] = {
    "openai-chat": (chat, [TEXT, *CALL]),
    "openai-compatible-chat": (chat, [REASONING, {"type": "text", "text": "Hello"}]),
    "openai-responses": (responses, [REASONING, TEXT, *CALL]),
    "anthropic-messages": (messages, [REASONING, TEXT, *CALL]),
}


def client_of(name: str, url: str, *, asyncio: bool) -> Any:
    """The libraries take seconds to import, which every worker would do where this module did."""
    import anthropic
    import openai

    if name.startswith("openai"):
        make: Any = openai.AsyncOpenAI if asyncio else openai.OpenAI
    else:
        make = anthropic.AsyncAnthropic if asyncio else anthropic.Anthropic
    return make(api_key="none", base_url=url, max_retries=0)


@pytest.mark.parametrize("name", list(SAID))
def test_a_stream_of_the_library_becomes_an_answer(name: str, redis_url: str, prefix: str) -> None:
    ask, parts = SAID[name]
    with recorded_model(name) as url, client_of(name, url, asyncio=False) as client:
        with Publisher.from_url(redis_url, prefix=prefix) as pub:
            with pub.answer("c", owner="ann", job_id="j") as answer:
                answer.stream(ask(client))
            job = pub.get_job("j")
    assert job is not None
    assert job.parts == parts


@pytest.mark.parametrize("name", list(SAID))
async def test_an_asyncio_stream_of_the_library_becomes_an_answer(name: str, redis_url: str, prefix: str) -> None:
    ask, parts = SAID[name]
    with recorded_model(name) as url:
        async with client_of(name, url, asyncio=True) as client:
            async with AsyncPublisher.from_url(redis_url, prefix=prefix) as pub:
                async with pub.answer("c", owner="ann", job_id="j") as answer:
                    await answer.stream(await ask(client))
                job = await pub.get_job("j")
    assert job is not None
    assert job.parts == parts


def test_the_helpers_of_the_libraries_say_nothing_twice(redis_url: str, prefix: str) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        with recorded_model("anthropic-messages") as url, client_of("anthropic", url, asyncio=False) as client:
            with pub.answer("c", owner="ann", job_id="helper") as answer:
                with client.messages.stream(model="m", max_tokens=99, messages=ASKED) as stream:
                    answer.stream(stream)
            with pub.answer("c", owner="ann", job_id="words") as answer:
                with client.messages.stream(model="m", max_tokens=99, messages=ASKED) as stream:
                    answer.stream(stream.text_stream)
        with recorded_model("openai-chat") as url, client_of("openai", url, asyncio=False) as client:
            with pub.answer("c", owner="ann", job_id="chunks") as answer:
                with client.chat.completions.stream(model="m", messages=ASKED) as stream:
                    answer.stream(stream)
        found = [pub.get_job(job_id) for job_id in ("helper", "words", "chunks")]
    assert [job.parts for job in found if job] == [[REASONING, TEXT, *CALL], [TEXT], [TEXT, *CALL]]


def test_a_model_that_fails_fails_the_answer(redis_url: str, prefix: str) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        with recorded_model("openai-responses-failed") as url, client_of("openai", url, asyncio=False) as client:
            with pytest.raises(RuntimeError, match="overloaded"):
                with pub.answer("c", owner="ann", job_id="j") as answer:
                    answer.stream(responses(client))
        job = pub.get_job("j")
    assert job is not None
    assert (job.status, job.text) == ("failed", "Hel")


@pytest.mark.parametrize("said", [None, 5, b"x", object()], ids=["nothing", "a number", "bytes", "an object"])
def test_what_no_model_says_is_refused(said: Any, redis_url: str, prefix: str) -> None:
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        with pub.answer("c", owner="ann", job_id="j") as answer:
            with pytest.raises(ValueError, match="OpenAI and Anthropic"):
                answer.stream(["before", said])
        job = pub.get_job("j")
    assert job is not None and job.text == "before"
