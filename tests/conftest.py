"""Fixtures for every level of tests, and the rule that nothing may be skipped in CI."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import hypothesis
import pytest

from tests.support.broker import Broker
from tests.support.node import Node

IN_CI = os.environ.get("CI") == "true"

# The same examples in every run: a failure belongs to the change that is tested. `make fuzz` looks for new ones.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The server that all tests share. Do not stop it and do not flush it: take ``own_broker`` for that."""
    with Broker() as running:
        yield running


@pytest.fixture
def own_broker() -> Iterator[Broker]:
    """A server for this test alone, which keeps its data over restarts and kills."""
    with Broker(append_only=True) as running:
        yield running


@pytest.fixture
def unmeasured(no_cover: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No coverage of this test and of the processes that it starts, which makes long loads twice as cheap.

    For tests that look for what goes wrong in code whose lines others run anyway.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def redis_url(broker: Broker) -> str:
    """Address of the shared server; use it with ``prefix``, so that tests do not see each other's keys."""
    return broker.url


@pytest.fixture
def prefix() -> str:
    """First part of every key, fresh for each test."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def start_node(redis_url: str, prefix: str) -> Iterator[Callable[..., Node]]:
    """``start_node(DRAIN_S=1)`` starts a node of this test, with these settings, on the shared server."""
    with ExitStack() as nodes:
        yield lambda **settings: nodes.enter_context(Node(redis_url, prefix, **settings))


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Skipped, which CI=true does not allow: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
