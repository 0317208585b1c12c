"""`make stack`: three nodes, Redis, a worker and Prometheus behind nginx with TLS and HTTP/2, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from redis.exceptions import RedisError

from gateway import listening
from gateway.commands import common
from gateway.demo.embedded_broker import server_command
from tests.stack import files
from tests.stack.piece import StackPart
from tests.support import nginx, prometheus
from tests.support.certificate import Certificate
from tests.support.ports import HOST
from tests.support.publishers import Reader

ROOT: Final = Path(__file__).parents[2]
NODES: Final = 3
DRAIN_S: Final = 5
START_S: Final = 120
POLL_S: Final = 0.05


class StackError(Exception):
    """The sentence says why."""


class StackStopped(BaseException):
    """A signal that ends the stack."""


def main() -> int:
    given = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    pieces: list[StackPart] = []
    try:
        _run(pieces, given.port, given.folder.resolve())
    except (StackError, AssertionError) as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except StackStopped:
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _end(pieces)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='make stack ARGS="…"', description=__doc__)
    parser.add_argument("--port", type=common.port, default=8443, help="nginx' port (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build/stack", help="for data and logs; what was there goes"
    )
    return parser.parse_args()


def _stop(*_: object) -> NoReturn:
    raise StackStopped


def _run(pieces: list[StackPart], port: int, folder: Path) -> NoReturn:
    port = _free(port)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    key = secrets.token_urlsafe(32)
    certificate = Certificate.made_in(folder)
    began = time.monotonic()
    print(f"The stack starts; its data and logs are in {folder}.", flush=True)
    for stage in _stages(folder, port, key, certificate):
        for piece in stage:
            pieces.append(piece)
            piece.start()
        for piece in stage:
            _wait_for(piece, began)
    _greet(port, key, certificate)
    while True:
        time.sleep(POLL_S)
        for piece in pieces:
            news = piece.look()
            if news:
                print(news, file=sys.stderr, flush=True)


def _free(port: int) -> int:
    """The port, or a free one for 0. Raises :class:`StackError` where it is taken."""
    try:
        with listening.bind(HOST, port) as sock:
            sock.listen()
            found: int = sock.getsockname()[1]
            return found
    except listening.CannotBind as error:
        raise StackError(error) from None


def _stages(folder: Path, port: int, key: str, certificate: Certificate) -> list[list[StackPart]]:
    """What has to be there before the next can start."""
    redis, scraper, *nodes = [_free(0) for _ in range(NODES + 2)]
    url = f"redis://{HOST}:{redis}/0"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    kept["PYTHONUNBUFFERED"] = "1"
    settings = {
        "GATEWAY_REDIS_URL": url,
        "GATEWAY_JWT_KEY": key,
        "GATEWAY_ANONYMOUS": "read",
        "GATEWAY_DRAIN_S": str(DRAIN_S),
        "GATEWAY_MAX_CONNECTIONS_PER_USER": "200",  # on one machine everybody is one user
    }

    def piece(
        name: str, command: Sequence[object], ready: Callable[[], bool], more: Mapping[str, str] | None = None
    ) -> StackPart:
        log = folder / f"{name.replace(' ', '-').lower()}.log"
        return StackPart(name, command, ready, environ={**kept, **(more or {})}, log=log)

    def node(number: int, at: int) -> StackPart:
        serve = (sys.executable, "-m", "gateway", "serve", "--port", at)
        return piece(f"Node {number}", serve, lambda: _answers(f"http://{HOST}:{at}/readyz"), settings)

    server = [*server_command(redis, folder), "--appendonly", "yes"]
    worker = (sys.executable, files.DEPLOY / "compose/worker.py")
    proxy = (nginx.program(), "-p", folder, "-e", folder / "nginx.log", "-c")
    scrape = (f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address={HOST}:{scraper}")
    return [
        [piece("Redis", server, lambda: _tells(url) is not None)],
        [
            *(node(number, at) for number, at in enumerate(nodes, start=1)),
            piece("Worker", worker, lambda: bool(_tells(url)), {"GATEWAY_REDIS_URL": url, "PYTHONPATH": str(ROOT)}),
            piece(
                "Prometheus",
                (prometheus.program("prometheus"), f"--config.file={files.prometheus(folder, nodes)}", *scrape),
                lambda: _answers(f"http://{HOST}:{scraper}/-/ready"),
            ),
        ],
        [
            piece(
                "nginx",
                (*proxy, files.nginx(folder, port, nodes, certificate)),
                lambda: _answers(f"https://{HOST}:{port}/", certificate),
            )
        ],
    ]


def _answers(url: str, certificate: Certificate | None = None) -> bool:
    trusted = ssl.create_default_context(cafile=str(certificate.certificate)) if certificate else None
    with urllib.request.urlopen(url, timeout=2, context=trusted) as answer:
        return bool(answer.status == 200)


def _tells(url: str) -> list[str] | None:
    """What the worker has told; None where Redis does not answer."""
    reader = Reader(url, "sse")
    try:
        return reader.types("topic:demo")
    except RedisError:
        return None
    finally:
        reader.close()


def _wait_for(piece: StackPart, began: float) -> None:
    deadline = time.monotonic() + START_S
    while not piece.is_ready():
        if piece.has_ended or time.monotonic() > deadline:
            said = piece.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise StackError(f"{piece.name} did not start: {' / '.join(said)}")
        time.sleep(POLL_S)
    print(f"{time.monotonic() - began:5.1f} s  {piece.name} answers (pid {piece.child.pid}).", flush=True)


def _greet(port: int, key: str, certificate: Certificate) -> None:
    base = f"https://{HOST}:{port}"
    print(
        f"\n{base}/\n\n"
        f"The browser does not know its certificate and asks. What the worker begins, and then one of its jobs:\n"
        f'  curl -N --cacert "{certificate.certificate}" "{base}/v1/events?channel=topic:demo"\n\n'
        "A token for /admin:\n"
        f"  GATEWAY_JWT_KEY={key} .venv/bin/sse-gateway token --sub me --scope admin\n\n"
        "Whatever you kill is started again. Ctrl-C ends it all.",
        flush=True,
    )


def _end(pieces: Sequence[StackPart]) -> None:
    """The nodes first, which say goodbye to their streams through nginx, which goes next; Redis last."""
    nodes = [piece for piece in pieces if piece.name.startswith("Node")]
    others = [piece for piece in reversed(pieces) if piece not in nodes]
    if nodes:
        print("\nThe nodes let their streams go …", flush=True)
    for each in nodes:
        each.child.ask_to_stop()
    deadline = time.monotonic() + DRAIN_S + 8
    for each in nodes:
        each.ends_within(deadline - time.monotonic())
    for each in others:
        each.child.stop()


if __name__ == "__main__":
    sys.exit(main())
