"""``sse-gateway doctor --url``: a real stream of a real node, watched through proxies with one fault each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.broker import Broker
from tests.support.commands import environment, run
from tests.support.doctor import HEALTHY, Diagnosis, diagnose
from tests.support.key_server import KeyServer
from tests.support.node import Node
from tests.support.ports import HOST, refusing_port
from tests.support.tls_front import TlsFront
from tests.support.tokens import token
from tests.support.web_proxy import Faults, WebProxy

BEAT_S = 1
WAIT_S = 3.5


class Deployment:
    """A node and its broker."""

    def __init__(self, node: Node, redis_url: str) -> None:
        self.base, self.port, self.redis_url = node.base, node.port, redis_url


@pytest.fixture(scope="module")
def node(broker: Broker) -> Iterator[Deployment]:
    with Node(broker.url, "doctor", HEARTBEAT_S=BEAT_S) as running:
        yield Deployment(running, broker.url)


def watch(node: Deployment, url: str, *more: str, wait_s: float = WAIT_S) -> Diagnosis:
    arguments = ["--redis-url", node.redis_url, "--url", url, "--token", token(), "--wait", str(wait_s), *more]
    return diagnose(*arguments, HEARTBEAT_S=BEAT_S, REDIS_PREFIX="doctor")


def of_path(seen: Diagnosis) -> dict[str, str]:
    """Checks of the way to the node that are not fine."""
    names = ("url", "first chunk", "heartbeats", "lifetime", "compression", "headers", "http")
    return {check: level for check, level in seen.worse_than_ok().items() if check in names}


def test_a_stream_without_a_proxy_is_fine(node: Deployment) -> None:
    seen = watch(node, node.base)
    assert of_path(seen) == {}, seen.output
    assert "each by itself" in seen.says("heartbeats")
    assert f"still open after {WAIT_S:g} s" in seen.says("lifetime")


def test_a_proxy_that_passes_everything_on_is_fine(node: Deployment) -> None:
    with WebProxy(node.port, Faults(drop=frozenset({"x-accel-buffering"}))) as proxy:
        seen = watch(node, proxy.base)
    assert of_path(seen) == {}, seen.output
    assert "X-Accel-Buffering stayed with a proxy" in seen.says("headers")


def test_a_proxy_that_holds_everything_back_is_found(node: Deployment) -> None:
    with WebProxy(node.port, Faults(hold_bytes=65_536)) as proxy:
        seen = watch(node, proxy.base, wait_s=1.5)
    assert "what a node sends at once is held back" in seen.says("first chunk")
    assert "proxy_buffering off" in seen.says("first chunk")
    assert seen.exit_code == 1


def test_a_proxy_that_sends_heartbeats_in_lumps_is_found(node: Deployment) -> None:
    with WebProxy(node.port, Faults(hold_bytes=30)) as proxy:
        seen = watch(node, proxy.base, wait_s=5)
    assert "arrived at once after" in seen.says("heartbeats")
    assert "proxy_buffering off" in seen.says("heartbeats")
    assert seen.exit_code == 1


def test_a_proxy_that_cuts_streams_is_found(node: Deployment) -> None:
    with WebProxy(node.port, Faults(cut_after=2)) as proxy:
        seen = watch(node, proxy.base)
    assert "without the node's farewell" in seen.says("lifetime")
    assert "proxy_read_timeout" in seen.says("lifetime")
    assert seen.exit_code == 1


def test_a_proxy_that_compresses_is_warned_of_only_where_it_holds_back(node: Deployment) -> None:
    with WebProxy(node.port, Faults(gzip=True)) as proxy:
        seen = watch(node, proxy.base)
    assert of_path(seen) == {}, seen.output
    assert "gzip, by something in between, which passes on each event by itself" in seen.says("compression")
    assert "each by itself" in seen.says("heartbeats")
    with WebProxy(node.port, Faults(gzip=True, hold_bytes=30)) as proxy:
        seen = watch(node, proxy.base, wait_s=5)
    assert of_path(seen) == {"heartbeats": "problem", "compression": "warning"}, seen.output
    assert "or have each event flushed" in seen.says("compression")


def test_a_proxy_that_drops_cache_control_or_speaks_http_1_0_is_warned_of(node: Deployment) -> None:
    with WebProxy(node.port, Faults(drop=frozenset({"cache-control"}), old=True)) as proxy:
        seen = watch(node, proxy.base, wait_s=1.5)
    late = {"first chunk": "", "heartbeats": ""}  # a busy machine may have both come late
    assert of_path(seen) | late == {"headers": "warning", "http": "warning"} | late
    assert "Cache-Control is gone" in seen.says("headers")
    assert "HTTP/1.0" in seen.says("http")


def test_https_without_http2_is_warned_of_and_a_certificate_that_is_not_trusted_is_told(
    node: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TlsFront(node.port) as front:
        url = f"https://{HOST}:{front.port}"
        assert "the certificate is refused" in watch(node, url, wait_s=1.5).says("url")
        monkeypatch.setenv("SSL_CERT_FILE", str(front.authority))
        assert "SSL_CERT_FILE" in environment()
        seen = watch(node, url)
    assert of_path(seen) == {"http": "warning"}, seen.output
    assert "six connections per host" in seen.says("http")


def test_what_is_no_stream_is_told_with_the_way_to_one(node: Deployment) -> None:
    no_token = diagnose("--redis-url", node.redis_url, "--url", node.base, "--wait", "1")
    assert f"{node.base} answers 401" in no_token.says("url")
    assert "--token" in no_token.says("url")
    with refusing_port() as port:
        nobody = watch(node, f"http://{HOST}:{port}", wait_s=1)
    assert "connection refused" in nobody.says("url")
    missing = watch(node, f"{node.base}/v1/nothing", wait_s=1)
    assert "answers 404" in missing.says("url")
    with KeyServer() as server:
        other = watch(node, server.url, wait_s=1)
    assert "which is no event stream" in other.says("url")


def test_neither_token_nor_ticket_is_printed(node: Deployment) -> None:
    with refusing_port() as port:
        seen = watch(node, f"http://{HOST}:{port}/v1/events?ticket=hush-hush", wait_s=1)
    assert "hush" not in seen.output
    assert token()[:20] not in seen.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--url", "nowhere"], "must be an http:// or https:// URL"),
        (["--url", "http://user:hush@x/"], "without a user name"),
        (["--wait", "0"], "must be a number of seconds from 1 to 7200"),
        (["--wait", "soon"], "must be a number of seconds"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run("doctor", *arguments, **HEALTHY)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "hush" not in done.stderr
