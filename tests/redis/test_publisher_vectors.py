"""The golden vectors against what the scripts write."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from publisher.blocking.transport import RedisTransport
from publisher.core import replies, steps
from publisher.core.answer_step import AnswerStep
from publisher.core.drafts import Draft
from publisher.core.options import Options
from publisher.core.pieces import PART, part_piece, text_piece
from publisher.core.step import Step
from publisher.keys import answer_key, channel_keys
from tests.support.publishers import Reader
from tests.support.vectors import load, name_of

TIMES = ("created_at", "started_at", "finished_at")


@pytest.mark.parametrize("vector", load("messages", "messages"), ids=name_of)
def test_the_publish_script_writes_the_message_of_the_vector(
    redis_url: str, prefix: str, reader: Reader, vector: dict[str, Any]
) -> None:
    names = channel_keys(prefix, vector["channel"])
    if vector["seq"] > 1:
        before = {"epoch": vector["epoch"], "seq": vector["seq"] - 1, "mark": vector["prev"]}
        reader.client.hset(names.meta, mapping=before)
    event = Draft(
        vector["channel"],
        vector["type"],
        vector["data"].encode(),
        vector["id"] or "",
        uid=vector["uid"],
        epoch=vector["epoch"],
        traceparent=vector.get("traceparent", ""),
    )
    transport = RedisTransport(redis_url)
    receipt = replies.receipt(event, transport.execute(event.call(Options(prefix))))
    transport.close()
    assert receipt == (vector["channel"], vector["epoch"], vector["seq"])
    ((entry_id, fields),) = reader.client.xrange(names.log)
    assert entry_id == b"%d-0" % vector["seq"]
    # The server's clock is the one thing that a vector cannot set.
    assert re.sub(rb" \d{13} ", b" %d " % vector["time"], fields[b"m"], count=1) == vector["message"].encode()


@pytest.mark.parametrize("vector", load("jobs", "jobs"), ids=name_of)
def test_the_job_script_writes_the_state_of_the_vector(
    redis_url: str, prefix: str, reader: Reader, vector: dict[str, Any]
) -> None:
    options = Options(prefix)
    transport = RedisTransport(redis_url)
    owner = vector["job"]["owner"]
    for op, arguments in vector["steps"]:
        assert transport.execute(_step(options, op, owner, arguments).call(options))[0] == b"ok"
    transport.close()
    state = {
        name.decode(): value.decode()
        for name, value in reader.client.hgetall(channel_keys(prefix, "job:42").state).items()
    }
    assert {name: 1 if name in TIMES else value for name, value in state.items()} == {
        name: 1 if name in TIMES else value for name, value in vector["state"].items()
    }


def _step(options: Options, op: str, owner: str | None, arguments: dict[str, Any]) -> Step:
    if op in ("create", "open"):
        born = arguments["kind"], arguments["owner"], arguments["meta"]
        return steps.create(options, "42", *born) if op == "create" else steps.open_(options, "42", *born, lease_s=None)
    builders: dict[str, Any] = {"progress": steps.progress, "item": steps.item, "fail": steps.fail}
    made: Step = builders[op](options, "42", owner, **arguments)
    return made


@pytest.mark.parametrize("vector", load("answers", "answers"), ids=name_of)
def test_the_answer_script_writes_the_answer_of_the_vector(
    redis_url: str, prefix: str, reader: Reader, vector: dict[str, Any]
) -> None:
    options = Options(prefix)
    transport = RedisTransport(redis_url)
    for step in (steps.create_answer(options, "c", "ann", "42", None), steps.start("42", "ann")):
        assert transport.execute(step.call(options))[0] == b"ok"
    for kind, said in vector["pieces"]:
        piece = part_piece(said, 9999) if kind == PART else text_piece(kind, said)
        assert piece is not None
        assert transport.execute(AnswerStep("42", [piece]).call(options))[0] == b"written"
    transport.close()
    assert reader.client.get(answer_key(prefix, "job:42")).decode() == vector["body"]
    told = [[event.type, orjson.loads(event.data)] for event in reader.log("job:42")][2:]
    assert told == vector["events"]
