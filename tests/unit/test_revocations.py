"""Who is revoked, and what is forgotten first."""

from __future__ import annotations

from gateway.auth.revocations import Revocations


def test_only_what_is_new_is_news() -> None:
    known = Revocations()
    assert known.learn([("ann", 10), ("bob", 5)]) == ["ann", "bob"]
    assert known.learn([("ann", 10), ("bob", 4)]) == []
    assert known.learn([("ann", 11)]) == ["ann"]
    assert dict(known.items()) == {"ann": 11, "bob": 5}


def test_tokens_of_the_revocations_second_and_before_are_refused() -> None:
    known = Revocations()
    known.learn([("ann", 10)])
    refused = {issued: known.revoked("ann", issued) for issued in (9.0, 10.0, 10.99, 11.0, None)}
    assert refused == {9.0: True, 10.0: True, 10.99: True, 11.0: False, None: True}
    assert not known.revoked("bob", None)


def test_a_clock_that_runs_ahead_does_not_save_a_token() -> None:
    known = Revocations(leeway_s=10)
    known.learn([("ann", 100)])
    assert known.revoked("ann", 110.5)
    assert not known.revoked("ann", 111)


def test_the_oldest_are_forgotten_first() -> None:
    known = Revocations(max_subjects=100)
    known.learn((f"u{number}", number) for number in range(111))
    assert len(known) == 100
    assert not known.revoked("u10", None)
    assert known.revoked("u11", None)
    assert known.revoked("u110", None)
