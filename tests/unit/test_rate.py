"""The estimate of a job's rate and of the time that is left."""

from __future__ import annotations

from publisher.core.rate import Estimate, RateEstimator


def test_nothing_is_said_from_too_little() -> None:
    pace = RateEstimator()
    assert pace.update(1, 10, 0.0) is None
    assert pace.update(2, 10, 0.4) is None


def test_a_steady_rate_gives_the_time_that_is_left() -> None:
    pace = RateEstimator()
    found = [pace.update(count, 100, count / 2) for count in range(11)]
    assert found[-1] == Estimate(2.0, 45.0)


def test_only_the_last_half_minute_counts() -> None:
    pace = RateEstimator()
    for second in range(60):
        pace.update(second, None, second)
    for second in range(60, 121):
        found = pace.update(60 + (second - 60) * 10, None, second)
    assert found == Estimate(10.0, None)


def test_no_end_is_promised_to_what_stands_still() -> None:
    pace = RateEstimator()
    pace.update(5, 10, 0.0)
    assert pace.update(5, 10, 1.0) == Estimate(0.0, None)


def test_a_count_that_falls_begins_anew() -> None:
    pace = RateEstimator()
    pace.update(50, 100, 0.0)
    assert pace.update(1, 100, 1.0) is None


def test_a_tight_loop_keeps_few_samples_and_the_whole_window() -> None:
    pace = RateEstimator()
    for number in range(100_000):
        found = pace.update(number, None, number / 10_000)
    assert found is not None and abs(found.rate - 10_000) < 100
    assert len(pace._samples) < 100
