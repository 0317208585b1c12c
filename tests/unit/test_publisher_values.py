"""The publisher's pure parts: arguments, settings, addresses, errors and waiting times."""

from __future__ import annotations

import math
import random
from typing import Any

import orjson
import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from redis import exceptions as redis_errors

import publisher
from publisher import AsyncPublisher, Publisher, channels, jsontext
from publisher.core import drafts, identity, job_update, replies, steps
from publisher.core.backoff import backoff_s
from publisher.core.faults import Fault
from publisher.core.handle import expected
from publisher.core.options import Options
from publisher.core.reason import reason
from publisher.core.reports import unreachable
from publisher.core.step import Step, owner_calls
from publisher.envelope import MessageError, decode, encode
from publisher.exceptions import EventTooLarge, JobCancelled, JobFinished, PublisherError, finished
from publisher.redis import connect
from publisher.redis.address import parse
from publisher.redis.errors import fault_of
from tests.support.strange_errors import strange_errors

OPTIONS = Options()
SECRET = "s3cr3t/word"


def test_the_public_surface_is_what_all_says() -> None:
    assert sorted(publisher.__all__) == sorted(set(publisher.__all__))
    assert all(hasattr(publisher, name) for name in publisher.__all__)


@pytest.mark.parametrize(
    ("channel", "type_", "data", "own", "words"),
    [
        ("nowhere", "t", 1, None, "client:ID"),
        (7, "t", 1, None, "must be text"),
        ("client:a b", "t", 1, None, "without whitespace"),
        ("client:a{b}", "t", 1, None, "braces"),
        ("client:", "t", 1, None, "1 to 200"),
        ("client:" + "a" * 201, "t", 1, None, "1 to 200"),
        ("client:a", "", 1, None, "event type"),
        ("client:a", "a b", 1, None, "event type"),
        ("client:a", "t\nx", 1, None, "event type"),
        ("client:a", "job.progress", 1, None, "job calls"),
        ("client:a", "t", {1, 2}, None, "cannot be written as JSON"),
        ("client:a", "t", "\ud800", None, "cannot be written as JSON"),
        ("client:a", "t", {1: 2}, None, "cannot be written as JSON"),
        ("client:a", "t", 1, "", "own id"),
        ("client:a", "t", 1, "a\nb", "own id"),
        ("client:a", "t", 1, "a" * 256, "own id"),
    ],
)
def test_a_bad_event_is_refused_with_a_sentence(
    channel: object, type_: object, data: object, own: object, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        drafts.draft(OPTIONS, channel, type_, data, own)


def test_data_nested_too_deeply_is_a_value_error() -> None:
    """32 levels at most, as over HTTP; brackets in text do not count."""
    for levels, words in ((32, "32 levels"), (2000, "JSON")):
        data: list[Any] = []
        for _ in range(levels):
            data = [data]
        with pytest.raises(ValueError, match=words):
            drafts.draft(OPTIONS, "broadcast", "t", data)
    drafts.draft(OPTIONS, "broadcast", "t", ["[" * 100, '"[[' * 50, {"a": [[]]}])


def test_size_counts_the_utf8_bytes_of_the_json() -> None:
    limit = Options(max_event_bytes=10)
    assert drafts.draft(limit, "broadcast", "t", "ä" * 4).data == '"ääää"'.encode()
    with pytest.raises(EventTooLarge) as caught:
        drafts.draft(limit, "broadcast", "t", "ä" * 5)
    assert (caught.value.size, caught.value.limit) == (12, 10)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, PublisherError)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (("broadcast", "t"), "tuple"),
        ("broadcast", "tuple"),
        ({"channel": "broadcast", "type": "t"}, "data missing"),
        ({"channel": "broadcast", "type": "t", "data": 1, "extra": 1}, "extra unknown"),
        ({"channel": "broadcast", "type": "t", "data": "x" * 300_000}, "at most 262144"),
    ],
)
def test_a_bad_event_in_a_list_is_named_by_its_index(event: object, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^Event 1: .*{words}"):
        drafts.drafts(OPTIONS, [("broadcast", "t", 1), event])


@pytest.mark.parametrize("channel", ["job:.", "job:..", "client:..", "user:.", "topic:..", "job:events"])
def test_an_id_that_no_browser_can_reach_is_refused(channel: str) -> None:
    with pytest.raises(ValueError, match="may not be"):
        channels.check_channel(channel)
    assert channels.check_channel(f"{channel}x") and channels.check_channel("topic:events")


@pytest.mark.parametrize("job_id", [".", "..", "events"])
def test_a_job_is_not_named_like_a_path(job_id: str) -> None:
    for make in (
        lambda: steps.create(OPTIONS, job_id, "k", None, None),
        lambda: steps.open_(OPTIONS, job_id, "k", None, None),
        lambda: job_update.update(OPTIONS, job_id, None, pending=False, status="active"),
        lambda: steps.emit(OPTIONS, job_id, "t", 1),
    ):
        with pytest.raises(ValueError, match="may not be"):
            make()


@pytest.mark.parametrize("item_id", ["a file, {1}.png", ".", "ü" * 200, " "])
def test_an_items_id_is_free_text(item_id: str) -> None:
    assert steps.item(OPTIONS, "j", None, item_id, status="done").item_id == item_id


@pytest.mark.parametrize("item_id", ["", "a\nb", "\x00", "\x85", "\ud800", "x" * 201, 7])
def test_an_items_id_has_no_control_characters(item_id: Any) -> None:
    with pytest.raises(ValueError, match="item id"):
        steps.item(OPTIONS, "j", None, item_id, status="done")


@pytest.mark.parametrize("value", [True, -0.1, 100.5, math.nan, math.inf, "40", None.__class__])
def test_progress_must_be_a_finite_number_from_0_to_100(value: Any) -> None:
    with pytest.raises(ValueError, match="progress must be"):
        steps.progress(OPTIONS, "j", None, value)


@given(st.floats(0, 100) | st.integers(0, 100))
def test_every_number_from_0_to_100_is_progress(value: float) -> None:
    assert orjson.loads(steps.progress(OPTIONS, "j", None, value).changes["progress"]) == value


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"status": "pending"},
        {"status": "done"},
        {"result": 1},
        {"error": "x"},
        {"status": "failed", "error": {"code": 1}},
        {"status": "failed", "error": {"message": 1}},
        {"progress": 101},
        {"current": "x"},
        {"item": {"status": "x"}},
        {"item": {"item_id": "a", "other": 1}},
        {"item": "a"},
        {"message": 5},
    ],
)
def test_an_impossible_update_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        job_update.update(OPTIONS, "j", None, pending=False, **wrong)


def test_an_update_of_a_pending_job_starts_it_first() -> None:
    found = job_update.update(OPTIONS, "j", None, pending=True, progress=1, item={"item_id": "f", "status": "ok"})
    assert [step.op for step in found if isinstance(step, Step)] == ["open", "item", "progress"]


def test_an_end_takes_the_last_words_with_it() -> None:
    (end,) = job_update.update(OPTIONS, "j", None, pending=False, status="failed", error="broke", message="bye")
    assert isinstance(end, Step)
    assert end.op == "fail"
    assert orjson.loads(end.changes["message"]) == "bye"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prefix": "a{b"}, "prefix"),
        ({"on_error": "ignore"}, "on_error"),
        ({"history_events": 0}, "history_events"),
        ({"history_events": True}, "history_events"),
        ({"history_ttl_s": 1.5}, "history_ttl_s"),
        ({"buffer_events": 0}, "buffer_events"),
        ({"max_event_bytes": -1}, "max_event_bytes"),
        ({"flush_timeout_s": -1}, "flush_timeout_s"),
        ({"flush_timeout_s": "x"}, "flush_timeout_s"),
    ],
)
def test_a_bad_setting_is_refused_by_name(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options(**settings)


@pytest.mark.parametrize(
    ("url", "where", "sentinel", "cluster"),
    [
        ("redis://localhost:6379/0", "localhost:6379", False, False),
        ("rediss://u:p@example.org", "example.org:6379", False, False),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock", False, False),
        ("redis+sentinel://:pw@a:1,b/main/2", "main at a:1,b:26379", True, False),
        ("redis+cluster://a:7000,[::1]:7001", "a:7000,::1:7001", False, True),
        ("rediss+cluster://u:p@a", "a:6379", False, True),
    ],
)
def test_every_form_of_url_is_understood(url: str, where: str, sentinel: bool, cluster: bool) -> None:
    found = parse(url)
    assert (found.where, found.sentinel, found.cluster) == (where, sentinel, cluster)


@pytest.mark.parametrize(
    "url",
    [
        f"http://u:{SECRET}@h",
        f"redis://u:{SECRET}@h",
        f"redis://u:{SECRET}@a,b",
        f"redis://u:{SECRET}@h/x",
        "redis://u:s3cr3tword@h:99999",
        "redis+sentinel://u:s3cr3tword@h:1",
        "redis+cluster://u:s3cr3tword@h:1/3",
        "redis+cluster://u:s3cr3tword@h:1?foo=1",
        "unix://u:s3cr3tword@relative",
    ],
)
def test_a_bad_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|port") as caught:
        parse(url)
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(parse("redis://u:s3cr3t@h"))


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/1?decode_responses=true&health_check_interval=5&encoding=utf-16&encoding_errors=foo&protocol=9",
        "unix:///run/redis.sock?%64ecode_responses=1&db=1&health_check_interval=5",
        "redis+sentinel://h/main/1?decode_responses=yes",
        "redis+cluster://h?protocol=3",
    ],
)
@pytest.mark.parametrize("face", [Publisher, AsyncPublisher])
def test_options_for_programs_that_share_the_url_change_nothing_here(url: str, face: Any) -> None:
    """Replies that are decoded, or words in another encoding, would be read as other answers."""
    face.from_url(url)
    address = parse(url)
    assert address.options == {}
    if not address.cluster:
        client: Any = connect.asyncio(address)
        kwargs = client.connection_pool.connection_kwargs
        assert kwargs["db"] == 1 and kwargs["protocol"] == 2
        assert not {"decode_responses", "encoding", "encoding_errors"} & kwargs.keys()
        assert kwargs.get("health_check_interval", 5) == 5


@pytest.mark.parametrize("face", [Publisher, AsyncPublisher])
def test_what_is_no_url_and_no_client_of_its_kind_is_refused_with_the_remedy(face: Any) -> None:
    with pytest.raises(ValueError, match="A Redis URL must be text, not NoneType: redis://"):
        face.from_url(None)
    other: Any = redis.asyncio.Redis() if face is Publisher else redis.Redis()
    for client in (None, 5, other):
        with pytest.raises(ValueError, match=r"AsyncPublisher one of redis\.asyncio"):
            face(client)


IN_SCRIPT = "Error running script (call to f_3caab05f): @user_script:89: @user_script: 89:"
"""How Redis 6.2 begins an error of a command in a script."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (redis_errors.ConnectionError("refused"), Fault.AWAY),
        (redis_errors.TimeoutError("slow"), Fault.AWAY),
        (redis_errors.BusyLoadingError("loading"), Fault.AWAY),
        (redis_errors.ReadOnlyError("You can't write"), Fault.AWAY),
        (redis_errors.MasterDownError("x"), Fault.AWAY),
        (redis_errors.ClusterDownError("x"), Fault.AWAY),
        (redis_errors.TryAgainError("x"), Fault.AWAY),
        (redis_errors.ResponseError("BUSY script is running"), Fault.AWAY),
        (OSError("unreachable"), Fault.AWAY),
        (redis_errors.OutOfMemoryError("command not allowed"), Fault.FULL),
        (redis_errors.ResponseError("MISCONF disk"), Fault.FULL),
        (redis_errors.ResponseError(f"{IN_SCRIPT} -OOM command not allowed when"), Fault.FULL),
        (redis_errors.ResponseError(f"{IN_SCRIPT} -READONLY You can't write"), Fault.AWAY),
        (redis_errors.ResponseError(f"{IN_SCRIPT} -WRONGTYPE Operation against"), Fault.BROKEN),
        (redis_errors.AuthenticationError("no"), Fault.DENIED),
        (redis_errors.NoPermissionError("no"), Fault.DENIED),
        (redis_errors.ResponseError("WRONGPASS invalid"), Fault.DENIED),
        (redis_errors.ResponseError("WRONGTYPE wrong kind"), Fault.BROKEN),
    ],
)
def test_each_trouble_with_redis_has_its_remedy(error: Exception, kind: Fault) -> None:
    assert fault_of(error) is kind
    said = str(unreachable("The event", "h:1", error, kind, OPTIONS))
    assert kind.value in said
    assert "h:1" in said


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_pause_has_full_jitter_below_a_capped_limit(attempt: int, draw: float) -> None:
    pause = backoff_s(attempt, base_s=0.05, cap_s=2, draw=draw)
    assert pause == pytest.approx(min(2, 0.05 * 2 ** min(attempt, 30)) * draw)


def test_waiting_leaves_a_workers_seeded_random_numbers_alone() -> None:
    random.seed(7)
    wanted = [random.random() for _ in range(3)]
    random.seed(7)
    found = []
    for attempt in (1, 2, 3):
        backoff_s(attempt)
        found.append(random.random())
    assert found == wanted


def test_unique_ids_and_epochs_have_the_shape_of_the_wire_format() -> None:
    uids = {identity.new_uid() for _ in range(1000)}
    assert len(uids) == 1000
    assert all(len(uid) == 12 and uid.replace("-", "a").replace("_", "a").isalnum() for uid in uids)
    epochs = {identity.new_epoch() for _ in range(1000)}
    assert len(epochs) == 1000
    assert all(len(epoch) == 8 and epoch.isascii() and epoch.isalpha() for epoch in epochs)


def test_a_repeated_call_differs_in_its_mark_only() -> None:
    call = drafts.draft(OPTIONS, "topic:x", "t", 1).call(OPTIONS)
    assert call.again().args[5] == "1"
    assert call.again()._replace(args=call.args) == call
    step = steps.create(OPTIONS, "j", "k", "o", None).call(OPTIONS)
    assert step.again().args[6] == "1"
    assert len(step.keys) == 12


def test_in_cluster_a_step_touches_the_jobs_slot_only() -> None:
    options = Options(cluster=True)
    step = steps.create(options, "j", "k", "o", None)
    assert len(step.call(options).keys) == 6
    told = [replies.Told("u", "job.created", b"{}"), replies.Told("u", "job.item", b"{}")]
    (owner,) = owner_calls(options, step, told, retry=False)
    assert all("{user:o}" in key for key in owner.keys)
    assert owner.args[0] == "SPUBLISH"


@given(st.binary(max_size=80))
def test_garbage_is_never_taken_for_a_message(junk: bytes) -> None:
    try:
        event = decode("topic:x", junk)
    except MessageError as error:
        assert str(error)
    else:
        assert encode(event) == junk


def test_an_exception_reads_as_a_short_printable_reason() -> None:
    assert reason(ValueError("no luck")) == "no luck"
    assert reason(KeyError()) == "KeyError"
    assert (reason(KeyError("x")), reason(KeyError(7)), reason(KeyError("a", "b"))) == (
        "KeyError: x",
        "KeyError: 7",
        "('a', 'b')",
    )
    assert reason(ValueError("\ud800")) == "?"
    assert len(reason(ValueError("x" * 10_000))) == 2000
    jsontext.text(reason(ValueError("\udfff")), "reason")
    assert {reason(error) for error in strange_errors()} == {"StrangeError"}


def test_a_value_that_raises_when_it_is_looked_at_is_no_json() -> None:
    """As the proxies of web frameworks do outside of a request."""

    class Proxy:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError("outside of a request")

    with pytest.raises(ValueError, match="The result cannot be written as JSON"):
        jsontext.dump({"user": Proxy()}, "result")


def test_a_total_comes_from_the_iterable_where_it_knows() -> None:
    assert expected([1, 2], None) == 2
    assert expected((n for n in range(3)), None) is None
    assert expected([1], 7) == 7


def test_a_cancelled_job_is_a_finished_one() -> None:
    assert isinstance(finished("j", "cancelled"), JobCancelled)
    assert type(finished("j", "failed")) is JobFinished


@pytest.mark.parametrize("data", [float("nan"), {"a": [1, float("inf")]}, [None, {"b": float("-inf")}]])
def test_a_number_that_json_does_not_know_is_refused_and_not_turned_into_null(data: object) -> None:
    with pytest.raises(ValueError, match="NaN"):
        drafts.draft(OPTIONS, "broadcast", "t", data)
    drafts.draft(OPTIONS, "broadcast", "t", {"null": None, "a": ["null", 1.5]})


@pytest.mark.parametrize("type_", ["stream.close", "stream.anything", "__connected", "__heartbeat", "job.completed"])
def test_the_words_of_nodes_and_job_calls_are_refused(type_: str) -> None:
    """A client would take such an event for the node's own word, and close its stream."""
    with pytest.raises(ValueError, match=type_):
        drafts.draft(OPTIONS, "broadcast", type_, {})
