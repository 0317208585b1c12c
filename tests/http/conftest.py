"""One real node for all tests of this folder; they keep apart by ids of their own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from publisher import Publisher
from tests.http.api import Api
from tests.support.broker import Broker
from tests.support.node import Node


@pytest.fixture(scope="session")
def http_prefix() -> str:
    """The prefix of the shared node's keys."""
    return f"h{secrets.token_hex(5)}"


@pytest.fixture(scope="session")
def node(broker: Broker, http_prefix: str) -> Iterator[Node]:
    """Tokens only, small limits where a test wants to reach them."""
    with Node(broker.url, http_prefix, MAX_EVENT_BYTES=20_000, JOB_WAIT_S=0.3) as running:
        yield running


@pytest.fixture
def api(node: Node) -> Api:
    return Api(node.base)


@pytest.fixture
def publisher(broker: Broker, http_prefix: str) -> Iterator[Publisher]:
    """A worker beside the node, in the same Redis."""
    with Publisher.from_url(broker.url, prefix=http_prefix) as running:
        yield running


@pytest.fixture
def name() -> str:
    """An id that no other test has."""
    return f"n-{secrets.token_hex(5)}"
