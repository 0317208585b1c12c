"""Whatever the description of the API allows, and much that it does not: every answer is one that it describes, and
none is an error of the node's."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.http.api import DOCUMENT, SCHEMAS
from tests.support.broker import Broker
from tests.support.node import MEASURED, Node
from tests.support.tokens import token

EXAMPLES = 25
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CALLERS: dict[str, Callable[[], dict[str, str]]] = {
    "nobody": dict,
    "anybody": lambda: {"Authorization": f"Bearer {token('u')}"},
    "admin": lambda: {"Authorization": f"Bearer {token('admin', scope='publish stats admin')}"},
    "liar": lambda: {"Authorization": "Bearer a.b.c"},
}


def streams(operation: dict[str, Any]) -> bool:
    """Whether it answers with a stream, which never ends."""
    content = (
        SCHEMAS.resolve(operation["responses"]["200"]).get("content", {}) if "200" in operation["responses"] else {}
    )
    return "text/event-stream" in content


OPERATIONS = [
    (method.upper(), path)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method != "parameters" and not streams(operation)
]


@pytest.fixture(scope="module")
def described() -> Any:
    return schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def fuzzed(broker: Broker) -> Iterator[Node]:
    """A node of its own: what is asked of it may revoke anybody."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv(MEASURED, raising=False)  # thousands of calls over the same lines
            running = stack.enter_context(Node(broker.url, f"f{secrets.token_hex(5)}", JOB_WAIT_S=0))
        yield running


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_described(fuzzed: Node, described: Any, method: str, path: str) -> None:
    operation = described[path][method]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(
        st.one_of(
            operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
        ),
        st.sampled_from(sorted(CALLERS)),
    )
    def run(case: Any, caller: str) -> None:
        case.call_and_validate(base_url=fuzzed.base, headers=CALLERS[caller](), checks=CHECKS)

    run()
