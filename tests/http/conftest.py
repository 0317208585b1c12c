"""One real node for all tests of this folder, which keep apart by ids of their own; and a Mercure hub for each file of
its tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from publisher import Publisher
from tests.http.api import Api
from tests.support.broker import Broker
from tests.support.mercure import HubClient
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


# The Mercure hub ---


@pytest.fixture(scope="module")
def hub_settings() -> dict[str, Any]:
    """What a file's hub has beside the defaults: the file's own word."""
    return {}


@pytest.fixture(scope="module")
def hub_prefix() -> str:
    return f"m{secrets.token_hex(5)}"


@pytest.fixture(scope="module")
def hub_node(broker: Broker, hub_prefix: str, hub_settings: dict[str, Any]) -> Iterator[Node]:
    with Node(broker.url, hub_prefix, MERCURE="true", **hub_settings) as running:
        yield running


@pytest.fixture
def hub(hub_node: Node) -> HubClient:
    return HubClient(hub_node.base)


@pytest.fixture
def topic() -> str:
    """A Mercure topic that no other test has."""
    return f"https://example.com/books/{secrets.token_hex(6)}"
