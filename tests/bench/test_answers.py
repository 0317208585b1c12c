"""The case of answers counts every piece."""

from __future__ import annotations

import pytest

from tests.bench.cases.answers import Stage
from tests.bench.systems import handwritten
from tests.bench.systems.answers import GatewayAnswers, HandwrittenAnswers

KINDS = [GatewayAnswers, *([] if handwritten.missing() else [HandwrittenAnswers])]


@pytest.mark.parametrize("kind", KINDS)
def test_every_piece_arrives_at_each_viewer(kind: type[GatewayAnswers | HandwrittenAnswers]) -> None:
    stage = Stage(kind(), 3, 2)
    try:
        sample = stage.measure(0.5)
    finally:
        stage.close()
    assert sample.latency.total() == 3 * 2 * 20
    assert 0 < sample.figures["p50_ms"] <= sample.figures["p99_ms"]
