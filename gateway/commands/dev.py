"""``dev``: a node with everything it needs, for a developer's machine."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import ipaddress
import os
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from gateway.commands import common
from gateway.demo.banner import YELLOW, Paint, banner
from gateway.version import version

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from gateway.app import ExtraRoutes
    from gateway.demo.children import Child
    from gateway.demo.embedded_broker import EmbeddedBroker
    from gateway.http.endpoint import Endpoints
    from gateway.node import Node
    from gateway.settings.settings import Settings

NAME = "dev"
SUMMARY = "run a node with a broker and a demo worker, for a developer's machine"
DESCRIPTION = """\
Run two nodes behind one port, a broker and a demo worker on the loopback address, with nothing to install or
configure besides. Whichever of them ends is started again. With --no-demo there is one node and no worker.
Everybody may read streams without an owner, and GET /dev/token?sub=…&scope=… makes tokens for the asking.
GATEWAY_… settings count here too; what they do not say, dev chooses for a developer."""
EXAMPLES = """\
  sse-gateway dev
  sse-gateway dev --port 9000 --redis-url redis://127.0.0.1:6379/0
  sse-gateway dev --no-demo"""

LOOPBACK: Final = "127.0.0.1"
KEY_NAMES: Final = ("GATEWAY_JWT_KEY", "GATEWAY_JWT_KEY_FILE", "GATEWAY_JWKS_URL")
PAGES_ORIGINS: Final = ",".join(
    f"http://{host}:{port}" for host in ("localhost", LOOPBACK) for port in (3000, 4200, 5173, 8080)
)
DEFAULTS: Final = {
    "GATEWAY_ANONYMOUS": "read",
    "GATEWAY_CORS_ORIGINS": PAGES_ORIGINS,  # where the development servers of front ends listen
    "GATEWAY_DRAIN_S": "0.5",
    "GATEWAY_LOG_LEVEL": "warning",
    "GATEWAY_MERCURE": "true",
    "GATEWAY_MERCURE_ANONYMOUS": "true",
    "GATEWAY_MAX_CONNECTIONS_PER_USER": "200",  # on one machine everybody is one user
}
EXPOSED: Final = (
    "Warning: others can reach this address. They read streams without a token, and make tokens with every right at "
    "/dev/token. Take serve for anything but your own machine."
)
NO_WORKER: Final = "No demo worker: its tasks are Dramatiq's, which is missing (pip install 'sse-gateway[broker]')."
NOTES: Final = (
    "Where the environment does not say otherwise, `dev` sets:\n\n"
    + "\n".join(f"- `{name}={value}`" for name, value in DEFAULTS.items())
    + "\n- in `GATEWAY_CORS_ORIGINS` also the node's own two names, `localhost` and `127.0.0.1`"
    + "\n- `GATEWAY_JWT_KEY` to a new random key at each start, so that tokens end with it\n\n"
    "Its routes beside those of `serve` (with `--no-demo` only the first):\n\n"
    "| | |\n|---|---|\n"
    '| `GET /dev/token?sub=…&scope=…&channels=…&ttl=…` | `{"token", "expires_at"}`; `channels` may be repeated, `ttl` '
    "is in seconds; `publish` and `subscribe` are selectors for the Mercure hub |\n"
    '| `POST /dev/jobs` `{"kind", "speed"?, "fail"?, "notify"?}` | starts a demo job: `character`, `media`, '
    "`generation`, `task` or `video`; `speed` is `quick` (3 to 6 s, where it is left out), `slow` (12 to 21 s) or "
    "`slowest` (up to 63 s); `fail` makes it fail halfway, and the client `notify` hears of its begin and end. With a "
    "token the job is the token's subject's |\n"
    "| `POST /dev/watch` | the same, and leads on to the job's stream |\n"
    '| `POST /api/generation` `{"prompt"}` | `{"success", "sessionId", "providerId"}` |\n'
    '| `POST /api/v1/characters/queue` | `{"data": {"jobId"}}` |\n'
    '| `POST /api/chat` `{"id", "messages"}` | as `useChat` of the AI SDK sends it: has the question answered, and '
    "leads on (303) to the answer's stream. Who sends no token is a guest, by a cookie for these paths |\n"
    "| `GET /dev/lab` | the processes of `dev` and how they are. Not on Windows, and on loopback addresses only |\n"
    '| `POST /dev/lab` `{"do", "node"?}` | takes something away, for pages of this very node: `kill` (a node, `"1"` or '
    '`"2"`, which is back after a second), `freeze` (the embedded broker stands still for 6 s) or `lose` (it is gone '
    "for 4 s, and comes back empty) |"
)
PAGES: Final = (
    ("/", "what runs here"),
    ("/client", "join under a name, see what arrives"),
    ("/admin", "who is connected, and live figures"),
    ("/demo", "jobs in all dialects, and what a crash does to them"),
    ("/chat", "an answer that survives a reload, and the death of its node"),
    ("/dev/token?sub=me&scope=admin", "a token for the asking"),
    ("/metrics", "figures for Prometheus"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=common.port, default=8000, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="address to listen on (default: %(default)s); with any but loopback others get in, as whom they like",
    )
    parser.add_argument("--no-demo", action="store_true", help="no demo worker, and no routes that start its jobs")


def run(given: argparse.Namespace) -> int:
    from gateway import listening, serving

    if not given.no_demo and not _has_dramatiq():
        print(NO_WORKER, file=sys.stderr)
        given.no_demo = True
    paint = Paint(sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    signals = _Signals()
    with signals.handled():
        try:
            sock = listening.bind(given.host, given.port)
        except listening.CannotBind as error:
            raise common.CommandError(str(error)) from None
        with contextlib.closing(sock), _broker(given) as broker:
            environ = environment(os.environ, sock.getsockname()[1])
            settings = common.settings(given, environ)
            greet = _greeting(given, sock, settings, paint)
            if not given.no_demo and os.name == "posix":
                return _run_fleet(sock, settings, environ, broker, greet)
            with _worker(given, settings, environ):
                code = serving.run(settings, sock, dev=True, extra=_extra(given), started=lambda _: greet())
                signals.ending()
                return code


def _has_dramatiq() -> bool:
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.find_spec("dramatiq") is not None
    return False


def _run_fleet(
    sock: socket.socket,
    settings: Settings,
    environ: Mapping[str, str],
    broker: EmbeddedBroker | None,
    greet: Callable[[], None],
) -> int:
    """Nodes, worker and broker as processes of their own, so that each can be taken away."""
    from gateway.demo.children import Child
    from gateway.demo.embedded_broker import NoBroker
    from gateway.demo.fleet import CannotStart, Fleet

    passed = {**environ, "GATEWAY_REDIS_URL": settings.redis_url}
    module = [sys.executable, "-m"]
    lab = is_loopback(sock.getsockname()[0])

    def node(number: int, control: int) -> Child:
        given = [str(number), str(sock.fileno()), str(control), *(["lab"] if lab else [])]
        return Child([*module, "gateway.demo.node", *given], environ=passed, inherited=(sock.fileno(), control))

    def worker() -> Child:
        return _started_worker(settings, passed)

    try:
        with Fleet(node, worker, broker) as fleet:
            fleet.run(greet)
    except CannotStart:
        return 1  # it has said why
    except NoBroker as error:
        raise common.CommandError(str(error)) from None


@contextlib.contextmanager
def _worker(given: argparse.Namespace, settings: Settings, environ: Mapping[str, str]) -> Iterator[None]:
    """The demo worker beside a node in this process: on Windows, where no process can inherit a socket."""
    if given.no_demo:
        yield
        return
    with _started_worker(settings, environ):
        yield


def _started_worker(settings: Settings, environ: Mapping[str, str]) -> Child:
    """It knows Redis, and nothing of the node's keys."""
    from gateway.demo.children import Child

    kept = {name: value for name, value in environ.items() if not name.startswith("GATEWAY_")}
    passed = {
        "GATEWAY_REDIS_URL": settings.redis_url,
        "GATEWAY_REDIS_PREFIX": settings.redis_prefix,
        "GATEWAY_LOG_LEVEL": settings.log_level,
        "GATEWAY_LOG_FORMAT": settings.log_format,
        "dramatiq_restart_delay": "500",  # ms until it looks again for a Redis that is away
    }
    # By the environment, not by arguments: an address may hold a password, and everybody sees arguments.
    return Child([sys.executable, "-m", "gateway.demo.worker"], environ={**kept, **passed})


def environment(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """What dev sets where the environment says nothing: among it a key of its own, new at each start.

    The two names of the node itself are allowed to read each other's answers, because a browser opens no more than six
    connections to one name, and the demo page watches six streams.
    """
    own = f",http://{LOOPBACK}:{port},http://localhost:{port}"
    chosen = {**DEFAULTS, "GATEWAY_CORS_ORIGINS": PAGES_ORIGINS + own, **environ}
    if not any(environ.get(name) for name in KEY_NAMES):
        chosen["GATEWAY_JWT_KEY"] = secrets.token_urlsafe(32)
    return chosen


def _extra(given: argparse.Namespace) -> ExtraRoutes:
    def routes(node: Node, endpoint: Endpoints) -> list[BaseRoute]:
        from gateway.demo import tokens

        found = tokens.routes(endpoint, node.settings)
        if not given.no_demo:
            from gateway.demo import routes as demo

            found += demo.routes(endpoint, node.callers, node.publisher, node.settings, node.ticket_key)
        return found

    return routes


@contextlib.contextmanager
def _broker(given: argparse.Namespace) -> Iterator[EmbeddedBroker | None]:
    """The embedded broker, named in ``given``; None where there is one of the user's own."""
    from gateway.demo.embedded_broker import NoBroker, embedded_broker

    if given.redis_url or os.environ.get("GATEWAY_REDIS_URL"):
        from gateway.commands import redis_trouble

        redis_trouble.check_reachable(common.settings(given).redis_url)
        yield None
        return
    try:
        with embedded_broker(given.port) as broker:
            given.redis_url = broker.url
            yield broker
    except NoBroker as error:
        raise common.CommandError(str(error)) from None


def _greeting(given: argparse.Namespace, sock: socket.socket, settings: Settings, paint: Paint) -> Callable[[], None]:
    from gateway import listening
    from publisher.redis.address import parse

    where = parse(settings.redis_url)
    # A broker of the user's own may have a password in its URL, which is not for the screen.
    shown = where.url if "@" not in where.url else where.where

    def greet() -> None:
        if not is_loopback(sock.getsockname()[0]):
            print(paint(YELLOW, EXPOSED), file=sys.stderr)
        print(
            banner(
                listening.url(sock) + settings.root_path,
                shown,
                version=version(),
                pages=PAGES,
                program=_program(),
                demo=not given.no_demo,
                anonymous=settings.anonymous_reading,
                paint=paint,
            ),
            flush=True,
        )

    return greet


def _program() -> str:
    """How this very program is called from here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m gateway"
    with contextlib.suppress(ValueError):
        return shlex.quote(str(called.absolute().relative_to(Path.cwd())))
    return called.name


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


class _SignalCame(BaseException):
    """A signal, while no server runs that would take it."""


class _Signals:
    """Every polite signal leads through the ``with`` blocks once, so that nothing is left behind."""

    def __init__(self) -> None:
        self._ending = False

    def ending(self) -> None:
        """From now on there is only cleaning up, which no further signal cuts short."""
        self._ending = True

    def _end(self, number: int, frame: FrameType | None) -> None:
        if not self._ending:
            self._ending = True
            raise _SignalCame

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        handlers: dict[int, Callable[[int, FrameType | None], None]] = {
            signal.SIGINT: self._end,
            signal.SIGTERM: self._end,
        }
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # nohup means it
            handlers[hangup] = lambda number, frame: signal.raise_signal(signal.SIGTERM)
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        except _SignalCame:
            raise SystemExit(0) from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
