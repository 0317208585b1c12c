"""The golden vectors against the Python that reads and writes messages and job states."""

from __future__ import annotations

from typing import Any

import pytest

from publisher import job
from publisher.envelope import MessageError, decode, encode
from publisher.keys import channel_keys, channel_of
from tests.support.vectors import event_of, load, name_of


@pytest.mark.parametrize("vector", load("messages", "messages"), ids=name_of)
def test_a_message_is_written_and_read_as_the_vector_says(vector: dict[str, Any]) -> None:
    event = event_of(vector)
    message = vector["message"].encode()
    assert encode(event) == message
    assert decode(vector["channel"], message) == event
    assert event.mark == vector["uid"][:6]


@pytest.mark.parametrize("vector", load("messages", "refused"), ids=name_of)
def test_what_is_not_a_message_is_refused_with_a_sentence(vector: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match=r"[.;:]"):
        decode("topic:x", vector["message"].encode())


@pytest.mark.parametrize("vector", load("names", "names"), ids=name_of)
def test_keys_and_the_announcements_channel_are_those_of_the_vector(vector: dict[str, Any]) -> None:
    keys = channel_keys(vector["prefix"], vector["channel"], vector["db"])
    assert (keys.log, keys.meta, keys.pubsub) == (vector["log"], vector["meta"], vector["pubsub"])
    assert channel_of(keys.pubsub) == vector["channel"]


@pytest.mark.parametrize("vector", load("jobs", "jobs"), ids=name_of)
def test_a_state_says_the_job_of_the_vector(vector: dict[str, Any]) -> None:
    state = {name.encode(): value.encode() for name, value in vector["state"].items()}
    found = job.from_state(state)
    assert found is not None
    assert found.as_dict() == vector["job"]


@pytest.mark.parametrize("vector", load("answers", "answers"), ids=name_of)
def test_an_answer_is_read_as_the_vector_says(vector: dict[str, Any]) -> None:
    found = job.with_answer(job.Job("42", "answer"), vector["body"].encode())
    assert (found.text, found.parts) == (vector["text"], vector["parts"])
