"""Answers of a model: many at once, with one viewer each and with ten; and a piece of a short and of a long answer."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Final

from publisher import Publisher
from publisher.blocking.transport import RedisTransport
from publisher.core.answer_step import AnswerStep
from publisher.core.options import Options
from publisher.core.pieces import TEXT, text_piece
from tests.bench.histogram import Histogram, parse
from tests.bench.measurement import Row, Sample
from tests.bench.options import RunOptions
from tests.bench.processes import Talker, cpu_seconds, give_all_cores
from tests.bench.progress import show
from tests.bench.rounds import alternate
from tests.bench.systems import handwritten
from tests.bench.systems.answers import GatewayAnswers, HandwrittenAnswers
from tests.support.broker import Broker

NAME: Final = "answers"
SUMMARY: Final = "500 answers at once, 40 pieces/s each, with 1 viewer and 10; a piece at the start and at 900 kB"
COLUMNS: Final = ("cpu_us_per_piece", "redis_us_per_piece", "worker_us_per_piece", "pieces_per_s", "p50_ms", "p99_ms")
PER_SECOND: Final = 40.0
VIEWERS: Final = (1, 10)
PATIENCE_S: Final = 120.0
LONG: Final = 900_000
PIECES: Final = 3000


class Stage:
    """One system with its worker and its viewers."""

    def __init__(self, system: GatewayAnswers | HandwrittenAnswers, answers: int, viewers: int) -> None:
        self.system = system
        self._parts = ExitStack()
        self._viewers = viewers
        self._parts.enter_context(system)
        self._writer = self._talker(system.writer(answers, PER_SECOND), "ready")
        self._readers = self._talker(system.readers(answers, viewers), "open")
        # Worker, Redis, node and viewers need more than a core between them: how late a piece is shows where it may go.
        for pid in (*system.pids, *filter(None, [system.redis_pid]), self._writer.pid, self._readers.pid):
            give_all_cores(pid)

    def _talker(self, program: Talker, said: str) -> Talker:
        self._parts.callback(program.close)
        assert program.hear() == said
        return program

    def close(self) -> None:
        self._parts.close()

    def measure(self, seconds: float) -> Sample:
        self._heard()
        start, cpu, redis_cpu = time.monotonic(), self.system.cpu(), self.system.redis_cpu()
        self._writer.say(b"%f\n" % seconds)
        pieces, worker_cpu = map(float, self._writer.hear().split())
        ages = self._arrived(round(pieces) * self._viewers)
        took = time.monotonic() - start
        return Sample(
            {
                "cpu_us_per_piece": (self.system.cpu() - cpu) / ages.total() * 1e6,
                "redis_us_per_piece": (self.system.redis_cpu() - redis_cpu) / pieces * 1e6,
                "worker_us_per_piece": worker_cpu / pieces * 1e6,
                "pieces_per_s": ages.total() / took,
            },
            ages,
        )

    def _arrived(self, wanted: int) -> Histogram:
        """How old all pieces were that a round wrote. Raises ``RuntimeError`` where some do not come."""
        ages, deadline = self._heard(), time.monotonic() + PATIENCE_S
        while ages.total() < wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.system.label}: {wanted - ages.total()} of {wanted} pieces are missing.")
            time.sleep(0.05)
            ages += self._heard()
        return ages

    def _heard(self) -> Histogram:
        self._readers.say(b"\n")
        return parse(self._readers.hear())


def run(options: RunOptions) -> list[Row]:
    answers, seconds = options.connections_or(500)[0], options.seconds_or(4.0)
    return [*(row for viewers in VIEWERS for row in side_by_side(options, answers, viewers, seconds)), *long(options)]


def side_by_side(options: RunOptions, answers: int, viewers: int, seconds: float) -> list[Row]:
    systems: list[GatewayAnswers | HandwrittenAnswers] = [GatewayAnswers()]
    if not handwritten.missing() and answers * viewers <= HandwrittenAnswers.most_connections:
        systems.append(HandwrittenAnswers())
    stages: list[Stage] = []
    try:
        for system in systems:
            show(f"{NAME}: {answers:,} answers with {viewers} viewers for {system.label}")
            stages.append(Stage(system, answers, viewers))
        rounds = options.rounds_or(3)
        found = alternate(stages, rounds, lambda each: each.measure(seconds), lambda each: each.system.label, NAME)
    finally:
        for stage in stages:
            stage.close()
    setting = f"{answers:,} answers, {viewers} viewer{'s' if viewers > 1 else ''} each"
    return [
        Row(NAME, setting, stage.system.name, stage.system.label, samples)
        for stage, samples in zip(stages, found, strict=True)
    ]


def long(options: RunOptions) -> list[Row]:
    """What a piece costs Redis when an answer begins, and when it is long."""
    samples: dict[str, list[Sample]] = {"at the start": [], "at 900 kB": []}
    for number in range(options.rounds_or(3)):
        show(f"{NAME}: a long answer, round {number + 1}")
        with Broker() as broker, Publisher.from_url(broker.url) as publisher:
            publisher.create_answer("c", owner="u", job_id="j")
            publisher.update_job("j", status="active")
            samples["at the start"].append(piece_cost(broker))
            for _ in range(9):
                publisher.update_job("j", text="x" * (LONG // 9))
            samples["at 900 kB"].append(piece_cost(broker))
    return [Row(NAME, "a piece of one answer", label, label, found) for label, found in samples.items()]


def piece_cost(broker: Broker) -> Sample:
    transport, options = RedisTransport(broker.url), Options()
    piece = text_piece(TEXT, "twelve chars")
    assert piece is not None
    before, start = cpu_seconds(broker.pid), time.monotonic()
    for _ in range(PIECES):
        reply = transport.execute(AnswerStep("j", [piece]).call(options))
        assert reply[0] == b"written", reply
    took = time.monotonic() - start
    transport.close()
    return Sample(
        {"redis_us_per_piece": (cpu_seconds(broker.pid) - before) / PIECES * 1e6, "pieces_per_s": PIECES / took}
    )
