"""Fixtures for every level of tests, and the rule that nothing may be skipped in CI."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import hypothesis
import pytest

from tests.support.broker import Broker
from tests.support.node import MEASURED, Node
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

UNMEASURED_FOLDERS = tuple(f"tests/{name}/" for name in ("cluster", "browser", "js", "deploy", "docs", "bench", "fuzz"))
"""What runs here looks for what goes wrong in lines that the other folders run, or at files that are no code. Being
measured would make its nodes start and run at half their speed."""

ONCE_MORE = pytest.StashKey[bool]()
"""On a test that has run with other parameters before."""

ONE_BROWSER = "tests/browser/"

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
    """Files that wait for clocks come among those that compute, so that several workers fill the cores at all times.

    Nothing in :data:`UNMEASURED_FOLDERS` is measured. Nor are properties: hundreds of examples over the same lines,
    each at twice the time. Nor are the processes of a command's test with its second parameters and all that follow:
    being measured costs each of them as much as what it does.
    """
    items.sort(key=_place)
    seen: set[object] = set()
    for item in items:
        function = getattr(item, "function", item)
        if not is_measured(item) or hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("no_cover")
        elif function in seen and item.nodeid.startswith("tests/cli/"):
            item.stash[ONCE_MORE] = True
        seen.add(function)


def is_measured(item: pytest.Item) -> bool:
    return not item.nodeid.startswith(UNMEASURED_FOLDERS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around the fixtures of all scopes, whose processes are not measured either."""
    with pytest.MonkeyPatch.context() as patch:
        if not is_measured(item):
            patch.delenv(MEASURED, raising=False)
        return (yield)


def _place(item: pytest.Item) -> int:
    """Any order, but the same in every process; a folder whose tests share a browser stays together."""
    path = item.nodeid.partition("::")[0]
    return zlib.crc32((ONE_BROWSER if path.startswith(ONE_BROWSER) else path).encode())


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
