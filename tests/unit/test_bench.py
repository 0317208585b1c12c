"""The pure parts of the load test: what was lost, how long it took, and what a piece of a stream holds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sse
from gateway.bench import numbers
from gateway.bench.latencies import Latencies
from gateway.bench.ledger import Ledger
from gateway.bench.pieces import PieceReader, read_text, whole_chunks
from gateway.bench.scrape import parse
from publisher.jsontext import dump


def taken(*batches: list[int]) -> Ledger:
    ledger = Ledger()
    for batch in batches:
        ledger.take(batch, batch == list(range(batch[0], batch[0] + len(batch))))
    return ledger


def test_a_complete_stream_lacks_nothing() -> None:
    ledger = taken([1], [2, 3], [4])
    assert (ledger.lacking(4), ledger.received, ledger.repeated, ledger.disordered) == ((0, 0), 4, 0, 0)


def test_what_is_missing_between_others_is_told_from_what_may_still_come() -> None:
    assert taken([1, 2], [5, 6]).lacking(8) == (2, 2)


def test_a_late_event_is_out_of_order_and_a_second_one_repeated() -> None:
    ledger = taken([1, 2], [4, 5], [3], [3], [5])
    assert (ledger.lacking(5), ledger.disordered, ledger.repeated) == ((0, 0), 1, 2)


def test_what_a_reset_leaves_out_is_not_lost() -> None:
    ledger = taken([1, 2])
    ledger.reset(10)
    ledger.take([10], True)
    assert (ledger.lacking(10), ledger.skipped) == ((0, 0), 7)


def test_a_stream_full_of_holes_stays_small_and_counts_them_all() -> None:
    ledger = Ledger()
    for number in range(2, 10_002, 2):
        ledger.take([number], True)
    assert ledger.lacking(10_000) == (5000, 0)
    assert len(ledger._gaps) <= 1000


@given(st.permutations(range(1, 30)), st.sets(st.integers(1, 29)))
def test_the_ledger_counts_whatever_happens(order: list[int], missing: set[int]) -> None:
    arrived = [number for number in order if number not in missing]
    ledger = Ledger()
    for number in arrived:
        ledger.take([number], True)
    between, at_the_end = ledger.lacking(29)
    assert between + at_the_end == len(missing)
    assert ledger.repeated == 0
    highest = [max(arrived[: index + 1]) for index in range(len(arrived))]
    assert ledger.disordered == sum(number < high for number, high in zip(arrived, highest, strict=True))


def test_percentiles_are_right_to_one_percent() -> None:
    latencies, chance = Latencies(), random.Random(7)
    durations = sorted(int(chance.lognormvariate(15, 2)) for _ in range(20_000))
    latencies.arrived(0, [-duration for duration in durations])
    for percent in (50, 90, 99, 99.9):
        exact = durations[int(percent / 100 * len(durations)) - 1] / 1e6
        assert latencies.percentile(percent) == pytest.approx(exact, rel=0.01, abs=0.001)
    assert latencies.summary(())["max"] == pytest.approx(durations[-1] / 1e6, abs=0.001)


def test_no_duration_breaks_the_histogram() -> None:
    latencies = Latencies()
    assert latencies.summary((50,)) == {"p50": None, "max": None}
    for duration in (-5, 0, 1, 10**12, 10**15):
        latencies.add(duration)
    assert latencies.count == 5


def event(number: int, time: int = 7) -> bytes:
    return b'id: abcdefgh.ABCDEFGH.%d.abcdef\nevent: bench\ndata: {"n":%d,"t":%d,"pad":"x"}\n\n' % (
        number,
        number,
        time,
    )


def test_a_piece_tells_numbers_times_and_the_last_id() -> None:
    piece = read_text(event(3, 100) + event(4, 200))
    assert (piece.numbers, piece.times, piece.consecutive) == ([3, 4], [100, 200], True)
    assert piece.last_id == "abcdefgh.ABCDEFGH.4.abcdef"


def test_a_piece_that_skips_a_number_is_not_consecutive() -> None:
    assert not read_text(event(3) + event(5)).consecutive


def test_the_nodes_own_words_know_what_came_before_them() -> None:
    reset = b'event: stream.reset\ndata: {"channel":"topic:a","reason":"history_lost"}\n\n'
    piece = read_text(event(1) + b"retry: 4000\n" + reset + event(9))
    assert [(notice.type, notice.before) for notice in piece.notices] == [("stream.reset", 1)]
    assert piece.retry_ms == 4000


def test_chunks_are_read_whole_or_not_at_all() -> None:
    framed = sse.framed([event(1), event(2) * 300])
    assert whole_chunks(framed) == event(1) + event(2) * 300
    for cut in (1, 3, 40, len(framed) - 1):
        assert whole_chunks(framed[:cut]) is None
        assert whole_chunks(framed[cut:]) is None
    assert whole_chunks(b"0\r\n\r\n") is None
    assert whole_chunks(b"zz\r\n\r\n") is None


def test_the_same_bytes_are_read_once() -> None:
    reader, framed = PieceReader(), sse.framed([event(1)])
    first = reader.read(framed, chunked=True)
    assert first is not None
    assert reader.read(bytes(bytearray(framed)), chunked=True) is first


def test_remembered_pieces_do_not_pile_up() -> None:
    reader = PieceReader()
    for number in range(2000):
        assert reader.read(event(number), chunked=False) is not None
    assert len(reader._known) <= 256


@given(st.integers(1, 7), st.integers(0, 60))
def test_events_take_turns_over_the_channels(channels: int, published: int) -> None:
    places = [numbers.place(event, channels) for event in range(published)]
    for index in range(channels):
        own = [number for channel, number in places if channel == index]
        assert own == list(range(1, numbers.on_channel(published, channels, index) + 1))


@pytest.mark.parametrize("size", [64, 200, 4000])
def test_data_is_as_long_as_asked_for(size: int) -> None:
    assert len(dump(numbers.data(12, 123_456_789_012, size))) == size


def test_a_scrape_adds_up_the_labels_and_knows_what_is_not_told() -> None:
    text = (
        'sse_gateway_build_info{version="1"} 1.0\nsse_gateway_connections{dialect="native"} 3.0\n'
        'sse_gateway_connections{dialect="video"} 4.0\nprocess_cpu_seconds_total 1.5\n'
    )
    sample = parse(text)
    assert (sample.connections, sample.cpu_s, sample.memory_bytes) == (7.0, 1.5, None)
    assert parse("something else").connections is None
