"""Every queue that the story is told of. Each has a database of its own, by its place here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import pytest

from tests.integrations.bench import Bench
from tests.integrations.celery_bench import CeleryBench
from tests.integrations.dramatiq_bench import DramatiqBench
from tests.integrations.rq_bench import RqBench
from tests.integrations.taskiq_bench import TaskiqBench

B = TypeVar("B", bound=Bench)

BENCHES: Final[list[type[Bench]]] = [CeleryBench, RqBench, DramatiqBench, TaskiqBench]
if find_spec("arq") is not None:  # it has an environment of its own: make test-arq
    from tests.integrations.arq_bench import ArqBench

    BENCHES.append(ArqBench)


def alone(kind: type[Bench]) -> pytest.MarkDecorator:
    """The mark of tests that need this queue's only worker: one process of the tests runs them all."""
    return pytest.mark.xdist_group(f"queue-{kind.name}")


@contextlib.contextmanager
def working(bench_of: Callable[[type[Bench]], Any], kind: type[B]) -> Iterator[B]:
    """The bench of this queue with its worker. What the worker has said is shown where the test fails."""
    found: B = bench_of(kind)
    found.ensure_worker()
    yield found
    print(found.said())


def each() -> list[Any]:
    """The parameters of a test that goes through all queues."""
    return [pytest.param(kind, id=kind.name, marks=alone(kind)) for kind in BENCHES]
