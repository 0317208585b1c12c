"""The internals of other packages that we use, so that a version without one fails with a sentence and not at night."""

from __future__ import annotations

import argparse
import asyncio
import asyncio.selector_events
import http.client
import inspect
import re
import socket
import tomllib
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.sentinel
import redis.cluster
import redis.connection
import redis.crc
import redis.sentinel
import uvicorn
from starlette import convertors, routing
from uvicorn.protocols.http import httptools_impl

from gateway.sockets.protocol import GatewayProtocol

ROOT: Final = Path(__file__).parents[2]

PROTOCOL: Final = httptools_impl.HttpToolsProtocol
CYCLE: Final = httptools_impl.RequestResponseCycle

METHODS: Final = [
    *((PROTOCOL, name) for name in ("data_received", "connection_lost", "on_message_begin")),
    *((PROTOCOL, name) for name in ("on_headers_complete", "on_message_complete", "on_response_complete")),
    *((PROTOCOL, name) for name in ("_unset_keepalive_if_required", "_start_asgi_task")),
    (asyncio.SelectorEventLoop, "_make_socket_transport"),
    (socket.socket, "_accept"),
    (httptools_impl, "STATUS_LINE"),
    (CYCLE, "send"),
    *((uvicorn.Server, name) for name in ("startup", "shutdown", "capture_signals", "handle_exit")),
    (routing.Route, "matches"),
    (routing.Match, "NONE"),
    (convertors, "register_url_convertor"),
    (redis.asyncio.ConnectionPool, "get_connection"),
    (redis.asyncio.ConnectionPool, "release"),
    (redis.ConnectionPool, "get_connection"),
    (redis.ConnectionPool, "release"),
    *((redis.asyncio.Connection, name) for name in ("send_packed_command", "read_response", "disconnect")),
    *((redis.Connection, name) for name in ("send_packed_command", "read_response", "disconnect")),
    (redis.connection, "AbstractConnection"),
    (redis.asyncio.Redis, "get_encoder"),
    (redis.asyncio.cluster.RedisCluster, "get_node_from_key"),
    (redis.cluster.RedisCluster, "get_redis_connection"),
    (redis.crc, "key_slot"),
    (redis.asyncio.cluster.NodesManager, "initialize"),
    (redis.asyncio.sentinel.SentinelConnectionPool, "get_master_address"),
    (argparse, "_SubParsersAction"),
    (argparse, "_HelpAction"),
]
"""Where a name is looked for, and the name."""

ATTRIBUTES: Final = [
    *((PROTOCOL, name) for name in ("loop", "connections", "transport", "flow", "parser", "scope", "headers", "url")),
    *((PROTOCOL, name) for name in ("cycle", "config", "server_state", "app_state", "server", "client", "scheme")),
    *((CYCLE, name) for name in ("default_headers",)),
    *((CYCLE, name) for name in ("transport", "flow", "disconnected", "keep_alive", "more_body")),
    *((CYCLE, name) for name in ("response_started", "response_complete", "chunked_encoding")),
    *((uvicorn.Server, name) for name in ("started", "should_exit", "force_exit", "servers", "lifespan")),
    *((routing.Route, name) for name in ("path_regex", "param_convertors", "endpoint", "methods", "path")),
    (routing.Router, "redirect_slashes"),
    *((redis.asyncio.ConnectionPool, name) for name in ("connection_class", "connection_kwargs")),
    *((redis.ConnectionPool, name) for name in ("connection_class", "connection_kwargs")),
    *((kind, "connection_pool") for kind in (redis.Redis, redis.asyncio.Redis)),
    (redis.sentinel.SentinelConnectionPool, "sentinel_manager"),
    (redis.asyncio.sentinel.SentinelConnectionPool, "sentinel_manager"),
    *((redis.asyncio.cluster.RedisCluster, name) for name in ("nodes_manager", "connection_kwargs")),
    (redis.cluster.RedisCluster, "nodes_manager"),
    (redis.cluster.NodesManager, "slots_cache"),
    (argparse.ArgumentParser, "_actions"),
    (getattr(asyncio.selector_events, "_SelectorTransport"), "_sock"),  # noqa: B009 — unknown to mypy
    (http.client.HTTPConnection, "_create_connection"),
]
"""Attributes that a class gives its instances."""


@pytest.mark.parametrize(("where", "name"), METHODS, ids=lambda part: getattr(part, "__name__", str(part)))
def test_what_is_called_or_overridden_is_there(where: object, name: str) -> None:
    assert hasattr(where, name), f"{_full(where)} has no {name} any more: see who uses it before the pin is raised."


@pytest.mark.parametrize(("where", "name"), ATTRIBUTES, ids=lambda part: getattr(part, "__name__", str(part)))
def test_an_attribute_is_set_by_its_class(where: type, name: str) -> None:
    code = "".join(_source(kind) for kind in where.__mro__ if kind.__module__ not in ("builtins", "typing"))
    assert re.search(rf"(self\.{name}(: [^=\n]+|(, self\.\w+)+)? = |self\.{name}\.update\(|def {name}\()", code), (
        f"{_full(where)} sets no {name} any more: see who uses it before the pin is raised."
    )


def test_what_the_protocol_overrides_exists_above_it() -> None:
    """A name that uvicorn stops calling would be dead code here, and a guard that is gone."""
    callbacks = {name for name in vars(GatewayProtocol) if name.startswith("on_") or name.endswith("_received")}
    assert callbacks <= set(dir(PROTOCOL))


def test_packages_whose_internals_are_used_have_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = [*project["dependencies"], *project["optional-dependencies"]["gateway"]]
    for package in ("redis", "uvicorn", "starlette", "httptools"):
        assert any(re.match(rf"{package}>=[\d.]+,<", pin) for pin in pins), package


@cache
def _source(kind: type) -> str:
    """The class's own lines. ``inspect`` would parse the whole file, which takes seconds for the larger ones."""
    text = Path(inspect.getsourcefile(kind) or "").read_text("utf-8")
    begin = re.search(rf"^class {kind.__name__}\b", text, re.MULTILINE)
    assert begin, kind
    return re.split(r"^(?=[^\s)#])", text[begin.start() :], maxsplit=2, flags=re.MULTILINE)[1]


def _full(where: object) -> str:
    return f"{getattr(where, '__module__', '')}.{getattr(where, '__qualname__', getattr(where, '__name__', ''))}"
