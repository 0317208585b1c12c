"""Systems that keep and stream the answers of a model, each with its worker and its viewers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from sys import executable
from typing import ClassVar, Protocol

from tests.bench.processes import Talker
from tests.bench.systems.gateway import PREFIX, Gateway
from tests.bench.systems.handwritten import Handwritten
from tests.support.tokens import token


class AnswerSystem(Protocol):
    """What the case ``answers`` needs beside a system."""

    def writer(self, answers: int, per_second: float) -> Talker: ...
    def readers(self, answers: int, viewers: int) -> Talker: ...


class GatewayAnswers(Gateway):
    """Answers of the publisher, viewed as jobs."""

    def writer(self, answers: int, per_second: float) -> Talker:
        return _talker("writer", self.broker.url, PREFIX, answers, per_second)

    def readers(self, answers: int, viewers: int) -> Talker:
        admin = f"Authorization: Bearer {token('bench', scope='admin', ttl_s=7200)}"
        return _talker("readers", self.port, answers, viewers, "/v1/jobs/a{}/events", admin)


class HandwrittenAnswers(Handwritten):
    """A Redis list and a pub/sub channel for each answer; see ``tests/bench/answers/handwritten.py``."""

    label = "list and pub/sub by hand"
    application: ClassVar[str] = "tests.bench.answers.handwritten:app"

    def writer(self, answers: int, per_second: float) -> Talker:
        os.environ["BENCH_REDIS_URL"] = self.url
        return _talker("handwritten", answers, per_second)

    def readers(self, answers: int, viewers: int) -> Talker:
        return _talker("readers", self.port, answers, viewers, "/answers/{}")


def _talker(program: str, *words: object) -> Talker:
    command: Sequence[object] = [executable, "-m", f"tests.bench.answers.{program}", *words]
    return Talker(command)
