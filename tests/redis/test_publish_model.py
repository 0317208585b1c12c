"""The publishing scripts on a real server against a model: whatever is repeated, trimmed or lost in between, receipts,
histories, states and announcements are exactly the model's, no event is there twice, and the chain of marks holds."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest
import redis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from publisher import channels
from publisher.core import drafts, steps
from publisher.core.drafts import Draft
from publisher.core.options import Options
from publisher.core.requests import Call
from publisher.core.step import Step
from publisher.envelope import START, Event, decode
from publisher.job import from_state
from publisher.keys import channel_keys
from publisher.redis.scripts import lua
from tests.redis.model_publishing import FIELDS, HISTORY, ModelPublishing, Verdict

OWNERS = {"j1": "u", "j2": None}
PUBLISHED = ["topic:a", "client:b", "job:j1", "job:j2"]
NAMES = [*PUBLISHED, "user:u"]

jobs = st.sampled_from(sorted(OWNERS))
numbers = st.integers(0, 100)


class Publishing(RuleBasedStateMachine):
    client: Any
    runs = itertools.count()

    @initialize()
    def begin(self) -> None:
        self.options = Options(prefix=f"model{next(self.runs)}", history_events=HISTORY)
        self.model = ModelPublishing(NAMES)
        self.sent: list[tuple[Draft | Step, Call]] = []
        self.listening = self.client.pubsub(ignore_subscribe_messages=False)
        self.listening.subscribe(*[channel_keys(self.options.prefix, name).pubsub for name in NAMES])
        for _ in NAMES:
            assert self.listening.get_message(timeout=10)["type"] == "subscribe"

    def teardown(self) -> None:
        if not hasattr(self, "listening"):
            return
        heard: dict[str, list[bytes]] = {name: [] for name in NAMES}
        for _ in range(sum(len(channel.announced) for channel in self.model.channels.values())):
            message = self.listening.get_message(timeout=10)
            heard[message["channel"].decode().split("{")[1].removesuffix("}")].append(message["data"])
        self.listening.close()
        for name, messages in heard.items():
            compare([decode(name, message) for message in messages], self.model.channels[name].announced)

    # Calls ---

    def call(self, call: Call) -> Verdict:
        reply = self.client.eval(lua(call.script).source, len(call.keys), *call.keys, *call.args)
        verdict = reply[0].decode()
        return (verdict, reply[1].decode(), reply[2]) if verdict == "ok" else (verdict,)

    @rule(name=st.sampled_from(PUBLISHED), own=st.sampled_from([None, None, "x", "y z"]), data=numbers)
    def publish(self, name: str, own: str | None, data: int) -> None:
        self.send(drafts.draft(self.options, name, "tick", data, own))

    @rule(job_id=jobs, data=numbers)
    def emit(self, job_id: str, data: int) -> None:
        self.send(steps.emit(self.options, job_id, "token", data))

    @rule(job_id=jobs, op=st.sampled_from(["create", "open", "start"]), kind=st.sampled_from("kkkz"))
    def begin_a_job(self, job_id: str, op: str, kind: str) -> None:
        owner = OWNERS[job_id]
        if op == "start":
            if job_id in self.model.jobs:
                self.send(steps.start(job_id, owner))
        else:
            make = steps.create if op == "create" else steps.open_
            self.send(make(self.options, job_id, kind, owner, {"n": 1}))

    @rule(job_id=jobs, value=numbers, message=st.sampled_from([None, "a", "ü\r\n"]))
    def progress(self, job_id: str, value: int, message: str | None) -> None:
        self.send(steps.progress(self.options, job_id, OWNERS[job_id], value, message=message))

    @rule(job_id=jobs, item_id=st.sampled_from(["f1", "f:2"]), value=numbers, name=st.sampled_from([None, "a.png"]))
    def item(self, job_id: str, item_id: str, value: int, name: str | None) -> None:
        self.send(steps.item(self.options, job_id, OWNERS[job_id], item_id, progress=value, filename=name))

    @rule(job_id=jobs, how=st.sampled_from(["complete", "fail", "cancel"]))
    def end(self, job_id: str, how: str) -> None:
        owner = OWNERS[job_id]
        made = {
            "complete": steps.complete(self.options, job_id, owner, {"x": [1]}),
            "fail": steps.fail(self.options, job_id, owner, "no", "E1", {"y": None}),
            "cancel": steps.cancel(job_id, owner),
        }
        self.send(made[how])

    @rule(job_id=jobs)
    def interfere_with_another_owner(self, job_id: str) -> None:
        if job_id in self.model.jobs:
            self.send(steps.progress(self.options, job_id, "somebody", 1))

    def send(self, what: Draft | Step) -> None:
        call = what.call(self.options)
        assert self.call(call) == self.expected(what, retry=False)
        self.sent.append((what, call))

    def expected(self, what: Draft | Step, *, retry: bool) -> Verdict:
        if isinstance(what, Draft):
            return self.model.publish(what, retry=retry)
        return self.model.step(what, retry=retry)

    @rule(number=st.integers(0, 1000))
    def repeat(self, number: int) -> None:
        """An earlier call arrives once more, because its answer was lost."""
        if self.sent:
            what, call = self.sent[-1 - number % min(len(self.sent), 12)]
            assert self.call(call.again()) == self.expected(what, retry=True)

    # Losses ---

    @rule(name=st.sampled_from(NAMES), keep=st.integers(0, 3))
    def trim(self, name: str, keep: int) -> None:
        self.client.xtrim(channel_keys(self.options.prefix, name).log, maxlen=keep, approximate=False)
        channel = self.model.channels[name]
        channel.log = channel.log[len(channel.log) - min(keep, len(channel.log)) :]

    @rule(name=st.sampled_from(NAMES))
    def expire_the_log(self, name: str) -> None:
        self.client.delete(channel_keys(self.options.prefix, name).log)
        self.model.channels[name].log = []

    @rule(name=st.sampled_from(["topic:a", "client:b"]), log_too=st.booleans())
    def lose_the_meta(self, name: str, log_too: bool) -> None:
        """An eviction. What was sent before cannot be told from what is new, so nothing of it is repeated here."""
        names = channel_keys(self.options.prefix, name)
        self.client.delete(names.meta, names.ids0, names.ids1, *([names.log] if log_too else []))
        channel = self.model.channels[name]
        channel.top = START
        channel.known.clear()
        channel.log = [] if log_too else channel.log
        self.sent = [(what, call) for what, call in self.sent if not isinstance(what, Draft) or what.channel != name]

    # What always holds ---

    @invariant()
    def redis_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "model"):
            return
        for name, channel in self.model.channels.items():
            names = channel_keys(self.options.prefix, name)
            log = [(entry, decode(name, fields[b"m"])) for entry, fields in self.client.xrange(names.log)]
            assert [entry for entry, _ in log] == [b"%d-0" % event.seq for _, event in log]
            compare([event for _, event in log], channel.log)
            meta = self.client.hmget(names.meta, "epoch", "seq", "mark")
            epoch, seq, mark = channel.top
            expected = [None] * 3 if channel.top == START else [epoch.encode(), b"%d" % seq, mark.encode()]
            assert meta == expected
        self.check_jobs()

    def check_jobs(self) -> None:
        for job_id in OWNERS:
            state = self.client.hgetall(channel_keys(self.options.prefix, f"job:{job_id}").state)
            job, expected = from_state(state), self.model.jobs.get(job_id)
            assert (job is None) == (expected is None)
            if job is not None and expected is not None:
                found = job.as_dict()
                items = {item.pop("item_id"): item for item in found.pop("items")}
                assert items == expected["items"]
                assert {name: found[name] for name in expected if name != "items"} == {
                    name: value for name, value in expected.items() if name != "items"
                }
                assert (found["finished_at"] is not None) == job.finished
        owned = [job_id for job_id in self.model.jobs if OWNERS[job_id] == "u"]
        running = [job_id for job_id in owned if self.model.jobs[job_id]["status"] not in channels.FINISHED]
        names = channel_keys(self.options.prefix, "user:u")
        assert self.client.zrange(names.jobs, 0, -1) == [job_id.encode() for job_id in owned]
        assert self.client.zrange(names.active, 0, -1) == [job_id.encode() for job_id in running]


def compare(found: list[Event], expected: list[Event]) -> None:
    """The same events but for the time; of a job's events only the fields that the model has are compared."""
    for one, other in itertools.zip_longest(found, expected):
        assert one is not None and other is not None, (found, expected)
        assert one._replace(time=0, data=b"") == other._replace(time=0, data=b"")
        data, wanted = orjson.loads(one.data), orjson.loads(other.data)
        if other.type in FIELDS:
            assert {name: data[name] for name in wanted} == wanted
        else:
            assert data == wanted
    assert len({(event.epoch, event.seq) for event in found}) == len({event.mark for event in found}) == len(found)
    for older, newer in itertools.pairwise(found):
        assert newer.follows(older.position) or newer.seq == 1


@pytest.mark.no_cover
def test_the_scripts_do_what_the_model_does(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        machine = type("Machine", (Publishing,), {"client": client})
        run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=40))
