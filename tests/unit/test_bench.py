"""The pure parts of the load test: what was lost, how long it took, and what a piece of a stream holds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bench import numbers
from gateway.bench.latencies import Latencies
from gateway.bench.ledger import StreamLedger
from gateway.bench.listener import Listener
from gateway.bench.pieces import PieceReader, read_text, whole_chunks
from gateway.bench.result import NodeView, node_figures
from gateway.bench.scrape import NodeSample, parse
from gateway.fanout import sse
from publisher.jsontext import dump


def taken(*batches: list[int]) -> StreamLedger:
    ledger = StreamLedger()
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
    ledger = StreamLedger()
    for number in range(2, 10_002, 2):
        ledger.take([number], True)
    assert ledger.lacking(10_000) == (5000, 0)
    assert len(ledger._gaps) <= 1000


@given(st.permutations(range(1, 30)), st.sets(st.integers(1, 29)))
def test_the_ledger_counts_whatever_happens(order: list[int], missing: set[int]) -> None:
    arrived = [number for number in order if number not in missing]
    ledger = StreamLedger()
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
    first = reader.read(framed)
    assert first is not None
    assert reader.read(bytes(bytearray(framed))) is first


def test_remembered_pieces_do_not_pile_up() -> None:
    reader = PieceReader()
    for number in range(2000):
        assert reader.read(sse.framed([event(number)])) is not None
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


class Watcher:
    """What listeners share."""

    def __init__(self) -> None:
        self.reader = PieceReader()
        self.latencies = Latencies()
        self.deliveries = self.resets = 0
        self.last_delivery = 0.0
        self.ended: list[str] = []

    def lost(self, listener: Listener, reason: str) -> None:
        self.ended.append(reason)


OPEN = b'retry: 1000\nid: abcdefgh.0\nevent: stream.open\ndata: {"connection":"c"}\n\n'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 100_000])
async def test_a_stream_is_read_alike_however_it_is_cut(size: int) -> None:
    """Also where a proxy has put other chunks around the same text."""
    text = OPEN + b"".join(event(number) for number in range(1, 40))
    for chunks in ([text], [text[start : start + 33] for start in range(0, len(text), 33)]):
        watcher = Watcher()
        listener = Listener(0, 0, watcher)
        outcome = listener.begin()
        data = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        for start in range(0, len(data), size):
            listener.data_received(data[start : start + size])
        assert await outcome == ""
        assert (listener.ledger.received, listener.ledger.lacking(39)) == (39, (0, 0))
        assert (listener.last_id, listener.retry_ms) == ("abcdefgh.ABCDEFGH.39.abcdef", 1000)
        listener.connection_lost(None)
        assert watcher.ended == ["cut"]


@pytest.mark.parametrize("head", [CHUNKED, b"HTTP/1.1 200 OK\r\nContent-Length: 71\r\n\r\n"])
async def test_a_refused_stream_says_why_also_in_two_pieces(head: bytes) -> None:
    body = b'event: stream.close\ndata: {"reason":"user_limit","reconnect":true   }\n\n'
    assert len(body) == 71
    listener = Listener(0, 0, Watcher())
    outcome = listener.begin()
    listener.data_received(head)
    listener.data_received(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if head is CHUNKED else body)
    listener.connection_lost(None)
    assert await outcome == "user_limit"


def test_a_scrape_adds_up_the_labels_and_knows_what_is_not_told() -> None:
    text = (
        'sse_gateway_build_info{version="1"} 1.0\nsse_gateway_connections{dialect="native"} 3.0\n'
        'sse_gateway_connections{dialect="video"} 4.0\nprocess_cpu_seconds_total 1.5\n'
    )
    sample = parse(text)
    assert (sample.connections, sample.cpu_s, sample.memory_bytes) == (7.0, 1.5, None)
    assert parse("something else").connections is None


def test_figures_of_two_nodes_behind_one_address_are_not_subtracted_from_each_other() -> None:
    def sample(cpu_s: float, started_at: float) -> NodeSample:
        return NodeSample(1e6, cpu_s, 5.0, 100.0, started_at)

    one = node_figures(NodeView("u", sample(1, 7), sample(1, 7), sample(3, 7)), took_s=4)
    assert (one["one_node"], one["cpu_share"]) == (True, 0.5)
    two = node_figures(NodeView("u", sample(1, 7), sample(9, 8), sample(3, 7)), took_s=4)
    assert (two["one_node"], two["cpu_share"], two["memory_bytes"]) == (False, None, [None] * 3)
