"""Pieces of different answers share a script call; those of one answer keep their order."""

from __future__ import annotations

from publisher.core import drafts
from publisher.core.answer_step import AnswerStep
from publisher.core.bundles import bundles
from publisher.core.options import Options
from publisher.core.pieces import TEXT, AnswerPiece
from publisher.core.requests import Call
from publisher.core.scripts import AnswerAmongMany, AnswersHead, ScriptName

OPTIONS = Options()


def call(job_id: str, *words: bytes) -> Call:
    return AnswerStep(job_id, [AnswerPiece(TEXT, word, len(word), len(word)) for word in words]).call(OPTIONS)


def test_answers_that_differ_travel_together() -> None:
    calls = [call("a", b"1"), call("b", b"2", b"3"), call("c", b"4")]
    (bundle,) = bundles(calls, cluster=False)
    assert bundle.call.script is ScriptName.ANSWER_MANY
    assert bundle.call.keys == (*calls[0].keys, *calls[1].keys, *calls[2].keys)
    assert bundle.call.args[AnswersHead._fields.index("answers")] == 3
    width = len(AnswerAmongMany._fields)
    second = bundle.call.args[5 + width + 5 :]
    assert second[width - 1] == 2
    assert [second[width + 2], second[width + 7]] == [b"2", b"3"]
    assert bundle.results([[b"written"], RuntimeError("full")])[0] == [b"written"]
    assert [type(each) for each in bundle.results([[b"written"], RuntimeError("full")])[1:]] == [RuntimeError] * 2


def test_one_answer_is_in_a_bundle_once() -> None:
    calls = [call("a", b"1"), call("b", b"2"), call("a", b"3"), call("b", b"4")]
    assert [bundle.indexes for bundle in bundles(calls, cluster=False)] == [[0, 1], [2, 3]]


def test_plain_events_and_answers_stay_apart_and_in_order() -> None:
    event = drafts.draft(OPTIONS, "job:a", "t", 1).call(OPTIONS)
    calls = [event, call("a", b"1"), call("b", b"2"), event, event]
    assert [bundle.indexes for bundle in bundles(calls, cluster=False)] == [[0], [1, 2], [3, 4]]


def test_in_cluster_each_answer_goes_to_its_own_slot() -> None:
    calls = [call("a", b"1"), call("b", b"2")]
    assert [bundle.indexes for bundle in bundles(calls, cluster=True)] == [[0], [1]]


def test_a_bundle_is_bounded() -> None:
    calls = [call(f"j{n}", b"x" * 50_000) for n in range(20)]
    assert max(len(bundle.indexes) for bundle in bundles(calls, cluster=False)) < 10
    many = [call(f"j{n}", b"x") for n in range(200)]
    assert max(len(bundle.indexes) for bundle in bundles(many, cluster=False)) == 64
