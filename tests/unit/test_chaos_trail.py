"""The judge of the fault tests, judged: it must see every way in which a client can be let down."""

from __future__ import annotations

import json

import pytest

from gateway.fanout import cursor
from publisher.envelope import START, Position
from tests.cluster import verdict
from tests.cluster.ledger import STEP, AcceptedEvent, Ledger, job_number
from tests.cluster.trail import Kind, Trail, TrailStep
from tests.cluster.truth import Truth
from tests.cluster.views import VIEWS
from tests.cluster.watcher import Watcher
from tests.support.sse_parser import SseEvent

CHANNEL = "topic:a"


def at(seq: int, epoch: str = "e", mark: str = "") -> Position:
    return Position(epoch, seq, mark or f"m{seq}")


def walked(*steps: tuple[Kind, Position] | tuple[Kind, Position, int], has_word: bool = True) -> Trail:
    trail = Trail(CHANNEL, has_word)
    for time, (kind, position, *number) in enumerate(steps):
        trail.take(TrailStep(float(time), kind, position, number[0] if number else None, fresh=time == 0))
    return trail


def event(seq: int, number: int | None = None) -> tuple[Kind, Position, int]:
    return Kind.EVENT, at(seq), seq if number is None else number


GREETING = (Kind.GREETING, at(1))


def judged(trail: Trail, ledger: Ledger | None = None, truth: Truth | None = None) -> verdict.Row:
    ledger, truth = ledger or Ledger(), truth or Truth()
    native = next(view for view in VIEWS if view.has_word is trail.has_word)
    watcher = Watcher("w", native, ["http://127.0.0.1:1"], "", ledger, truth)
    watcher.trails[CHANNEL] = trail
    return verdict.row(watcher, ledger, truth)


def test_a_trail_without_a_hole_is_fine() -> None:
    assert judged(walked(GREETING, event(2), event(3), (Kind.GREETING, at(3)), event(4))).problems() == []


def test_a_channel_may_begin_with_its_first_event() -> None:
    assert judged(walked((Kind.GREETING, START), event(1), event(2))).problems() == []


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([event(2), event(4)], "lost"),
        ([event(2), (Kind.EVENT, at(1, "other"), 9)], "lost"),
        ([event(2), (Kind.GREETING, at(5)), event(6)], "lost"),
        ([event(2), event(2)], "repeated"),
        ([event(2, 5), event(3, 5)], "repeated"),
        ([event(2, 5), event(3, 4)], "out of order"),
        ([event(2), (Kind.RESET, at(4)), event(5)], "reset without a loss"),
    ],
    ids=["hole", "other epoch", "moved on by a greeting", "twice", "published twice", "backwards", "needless reset"],
)
def test_a_broken_trail_is_told(steps: list[tuple[Kind, Position]], kind: str) -> None:
    assert kind in " ".join(judged(walked(GREETING, *steps)).problems())


@pytest.mark.parametrize("moved", [at(1, "new"), at(2)], ids=["with the reset", "with the state"])
def test_after_a_loss_a_reset_explains_a_hole_and_a_repetition(moved: Position) -> None:
    """Whether the cursor moves with the reset itself or with the last word of the state."""
    ledger = Ledger(losses=[(0.0, 10.0)])
    trail = walked(GREETING, event(2), (Kind.RESET, moved), (Kind.STATE, at(1, "new")), (Kind.EVENT, at(2, "new"), 2))
    row = judged(trail, ledger)
    assert row.problems() == [] and row.resets == 1


def test_after_a_loss_a_hole_without_a_reset_is_still_one() -> None:
    assert judged(walked(GREETING, event(2), event(4)), Ledger(losses=[(0.0, 10.0)])).lost


def test_a_reset_without_a_state_explains_the_first_event_of_another_history() -> None:
    """A user without jobs: nothing moves the cursor before the next event does."""
    other = [(Kind.EVENT, at(n, "other"), n) for n in (5, 6, 8)]
    ledger = Ledger(losses=[(0.5, 9.0)])
    assert judged(walked(event(2), (Kind.RESET, at(2)), *other[:2]), ledger).problems() == []
    assert judged(walked(event(2), (Kind.RESET, at(2)), *other), ledger).lost == ["topic:a other:6 to other:8"]
    told = walked(event(2), (Kind.RESET, at(2)), (Kind.STATE, at(2)), other[0])
    assert judged(told, ledger).lost == ["topic:a e:2 to other:5"]


def test_a_reset_that_names_no_place_explains_the_state_that_comes_when_there_is_one() -> None:
    """A job that Redis lost, until its worker writes it again: behind the second reset there is a state."""
    view = next(view for view in VIEWS if view.name == "native job").of("j")
    watcher = Watcher("w", view, ["http://127.0.0.1:1"], "", Ledger(), Truth())
    trail = watcher.trails["job:j"] = Trail("job:j", has_word=True)

    def told(type_: str, data: object, place: str) -> None:
        watcher._take(view, SseEvent(type_, json.dumps(data), f"{cursor.tag('job:j')}.{place}"), fresh=False)

    told("token", {"n": 1}, "aaaaaaaa.20.mmmmmm")
    told("stream.reset", {"channel": "job:j"}, "-")
    told("stream.reset", {"channel": "job:j"}, "-")
    told("job.state", {"job_id": "j", "status": "active"}, "bbbbbbbb.2.mmmmmm")
    told("token", {"n": 1}, "bbbbbbbb.3.nnnnnn")
    assert (len(trail.resets), trail.skips, trail.repeated) == (2, [], [])
    told("token", {"n": 3}, "bbbbbbbb.5.oooooo")
    assert len(trail.skips) == 1


def test_without_a_word_for_it_a_loss_since_the_last_word_explains_another_history() -> None:
    trail = walked(event(2), (Kind.EVENT, at(5, "other"), 5), has_word=False)
    assert judged(trail, Ledger(losses=[(0.5, 0.6)])).lost == []
    assert judged(trail, Ledger(losses=[(1.5, 2.0)])).lost == ["topic:a e:2 to other:5"]


def test_a_dialect_may_pass_over_what_it_has_no_word_for_and_nothing_else() -> None:
    truth = Truth()
    truth.saw(CHANNEL, at(3), "token", 3)
    trail = walked(GREETING, event(2), event(4), has_word=False)
    assert judged(trail, truth=truth).problems() == []
    truth.saw(CHANNEL, at(3), "job.progress", 3)
    assert judged(trail, truth=truth).lost


def test_a_client_that_saw_another_predecessor_missed_something() -> None:
    """After a failover numbers are given out again: only the marks tell the two events apart."""
    truth = Truth()
    assert truth.linked(CHANNEL, at(2, mark="old"), at(3)) == at(2, mark="old")
    assert truth.linked(CHANNEL, at(2, mark="new"), at(3)) != at(2, mark="new")


def test_an_accepted_event_that_nobody_saw_is_told() -> None:
    ledger, truth = Ledger(), Truth()
    for number in (1, 2):
        ledger.asked(CHANNEL, number)
        ledger.accepted(CHANNEL, number, AcceptedEvent("e", number))
    truth.saw(CHANNEL, at(1), "tick", 1)
    assert verdict.unseen(ledger, truth) == ["topic:a 2"]


def test_a_receipt_that_names_the_place_of_another_event_is_told() -> None:
    ledger, truth = Ledger(), Truth()
    ledger.asked(CHANNEL, 1)
    ledger.accepted(CHANNEL, 1, AcceptedEvent("e", 1))
    truth.saw(CHANNEL, at(1), "tick", 7)
    assert verdict.wrong_receipts(ledger, truth)


def test_what_was_kept_must_arrive_once_something_later_was_accepted() -> None:
    """And need not where the process was killed before."""
    ledger = Ledger()
    ledger.asked(CHANNEL, 1)
    ledger.kept(CHANNEL, 1)
    assert verdict.unseen(ledger, Truth()) == []
    ledger.asked(CHANNEL, 2)
    ledger.accepted(CHANNEL, 2, AcceptedEvent("e", 2))
    assert verdict.unseen(ledger, Truth()) == ["topic:a 1", "topic:a 2"]
    killed = Ledger()
    killed.asked(CHANNEL, 1)
    killed.kept(CHANNEL, 1)
    killed.killed()
    killed.flushed()
    assert verdict.unseen(killed, Truth()) == []


def test_a_jobs_progress_may_be_superseded_but_nothing_else_of_it() -> None:
    ledger, truth = Ledger(), Truth()
    for number in (job_number(1, STEP), job_number(2, STEP), job_number(2, STEP) + 1, job_number(3, STEP)):
        ledger.asked("job:j", number)
        ledger.kept("job:j", number)
    ledger.flushed()
    ledger.ended_job("j", "completed")
    truth.saw("job:j", at(1), "job.progress", job_number(1, STEP))
    assert verdict.unseen(ledger, truth) == ["job:j 21"]
