"""The model of fleets and storms behaves as the rules that it stands for."""

from __future__ import annotations

import math
import random

import pytest

from tests.bench.scaling import PAGE, rewritten
from tests.bench.scaling_model import REFUSAL_S, Costs, Load, Storm, need, refused_pause_s, storm


def test_without_limits_all_are_back_when_the_last_pause_is_over() -> None:
    found = storm(Storm(1000, 2, retry_s=(1, 5), rate_per_s=0, open_us=0))
    assert found.refusals == 0
    assert found.until(0.5) == pytest.approx(3, abs=0.2)
    assert 4.8 < found.until(1) <= 5


def test_the_connect_rate_bounds_how_many_come_back_in_any_time() -> None:
    """A bucket of one second's worth, and the rate for every second."""
    found = storm(Storm(5000, 1, retry_s=(1, 5), rate_per_s=200, open_us=0))
    for at in range(1, 60):
        assert found.share_back(at) * 5000 <= 200 * (at + 1)
    assert found.refusals > 0
    assert found.until(1) < 180


def test_more_nodes_take_a_dead_ones_streams_sooner() -> None:
    storms = [storm(Storm(10_000, nodes)) for nodes in (1, 2, 4, 9)]
    refusals = [found.refusals for found in storms]
    assert refusals == sorted(refusals, reverse=True)
    assert storms[0].until(0.5) > storms[1].until(0.5) > storms[2].until(0.5)
    assert storms[-1].until(1) < 6 < storms[0].until(1)


def test_a_drain_leaves_no_peak_where_a_death_does() -> None:
    died, drained = storm(Storm(4000, 1)), storm(Storm(4000, 1, over_s=9))
    assert drained.refusals < died.refusals


def test_whoever_finds_no_room_is_never_back() -> None:
    found = storm(Storm(300, 2, room=100))
    assert len(found.back_at) == 200
    assert found.until(1) == math.inf


def test_a_busy_node_makes_wait() -> None:
    found = storm(Storm(1000, 1, retry_s=(0, 0.1), rate_per_s=0, open_us=1000))
    assert found.busiest_s == pytest.approx(0.9, abs=0.1)


def test_the_same_seed_gives_the_same_storm() -> None:
    assert storm(Storm(500, 2, seed=3)) == storm(Storm(500, 2, seed=3))
    assert storm(Storm(500, 2, seed=3)) != storm(Storm(500, 2, seed=4))


def test_a_refused_stream_comes_back_within_the_range_that_nodes_tell() -> None:
    chance = random.Random(1)
    pauses = [refused_pause_s(chance) for _ in range(1000)]
    assert REFUSAL_S[0] <= min(pauses)
    assert max(pauses) <= REFUSAL_S[1]


def test_needs_grow_with_streams_and_no_faster() -> None:
    small, large = (need(Load(size), Costs()) for size in (200_000, 400_000))
    assert (small.nodes, large.nodes) == (10, 20)
    assert large.redis_bytes_per_s == pytest.approx(2 * small.redis_bytes_per_s)
    assert large.by_part["presence"] == pytest.approx(2 * small.by_part["presence"])


@pytest.mark.no_cover
def test_the_page_shows_what_the_model_says() -> None:
    page = PAGE.read_text("utf-8")
    assert rewritten(page, Costs()) == page, "run: python -m tests.bench.scaling --docs"
