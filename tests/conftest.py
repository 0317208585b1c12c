"""Fixtures for every level of tests, and the rule that nothing may be skipped in CI."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import hypothesis
import pytest

from tests.support.broker import Broker
from tests.support.node import Node
from tests.support.publishers import Reader

# A shell that runs `make test &` ignores SIGINT for it, nohup SIGHUP; the programs that are tested would do as well.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# Some tests hold more than a thousand connections: as many as an ordinary user's usual limit lets open, and as may be.
with contextlib.suppress(ImportError, ValueError, OSError):  # not on Windows
    import resource

    _soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _most = _hard if 0 < _hard < 8192 else 8192
    if 0 < _soft < _most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _hard))

MEASURED = "COVERAGE_PROCESS_CONFIG"
"""The variable by which coverage reaches the processes of tests."""

ONCE_MORE = pytest.StashKey[bool]()
"""On a test that has run with other parameters before."""

IN_CI = os.environ.get("CI") == "true"

# The same examples in every run: a failure belongs to the change that is tested. `make fuzz` looks for new ones.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None, database=None, max_examples=60)
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
    monkeypatch.delenv(MEASURED, raising=False)


@pytest.fixture
def redis_url(broker: Broker) -> str:
    """Address of the shared server; use it with ``prefix``, so that tests do not see each other's keys."""
    return broker.url


@pytest.fixture
def prefix() -> str:
    """First part of every key, fresh for each test."""
    return f"t{secrets.token_hex(5)}"


@pytest.fixture
def reader(redis_url: str, prefix: str) -> Iterator[Reader]:
    """What stands in Redis under the test's prefix, read without the code under test."""
    found = Reader(redis_url, prefix)
    yield found
    found.close()


@pytest.fixture
def start_node(redis_url: str, prefix: str) -> Iterator[Callable[..., Node]]:
    """``start_node(DRAIN_S=1)`` starts a node of this test, with these settings, on the shared server."""
    with ExitStack() as nodes:
        yield lambda **settings: nodes.enter_context(Node(redis_url, prefix, **settings))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Properties are not measured: hundreds of examples over the same lines, each at twice the time. Nor are the
    processes of a command's test with its second parameters and all that follow: being measured costs each of them as
    much as what it does."""
    seen: set[object] = set()
    for item in items:
        function = getattr(item, "function", item)
        if hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("no_cover")
        elif function in seen and item.nodeid.startswith("tests/cli/"):
            item.stash[ONCE_MORE] = True
        seen.add(function)


@pytest.fixture(autouse=True)
def _processes_unmeasured_once_more(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if ONCE_MORE in request.node.stash:
        monkeypatch.delenv(MEASURED, raising=False)


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
