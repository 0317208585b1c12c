"""A process that has imported the gateway, of which nodes and commands are forks: they start at a tenth of the price.

Linux only.

A fork is what ``python -m gateway …`` would be: a process and a child of the test's own, with its own environment,
arguments, output, signals and exit code, and with nothing done in advance but imports. Two things differ: its
command line in ``ps`` is the template's, and all forks of a template order their sets of strings alike.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

USABLE: Final = sys.platform == "linux"
MODULES: Final = (
    "gateway.__main__",
    "gateway.cli",
    "gateway.listening",
    "gateway.serving",
    *("gateway.http_client.client", "gateway.mercure.hub", "urlpattern"),  # imported by who needs them
    "coverage",
)
TIMED: Final = "gateway.metrics.process"
"""The only module of the gateway that takes something along from when it was imported: the time."""
PR_SET_CHILD_SUBREAPER: Final = 36
MAX_ORDER_BYTES: Final = 128 * 1024


class Fork:
    """A fork as :class:`subprocess.Popen` would show it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.returncode if self.returncode is not None or not self._has_ended(0) else self._bury()

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, as soon as it has ended; raises ``subprocess.TimeoutExpired``."""
        if self.returncode is not None:
            return self.returncode
        if not self._has_ended(timeout):
            raise subprocess.TimeoutExpired("a fork of the template", timeout or 0)
        return self._bury()

    def send_signal(self, number: int) -> None:
        """Nothing happens to one that has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._ended, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, timeout: float | None) -> bool:
        ended = select.poll()  # a test with a crowd of clients has more files than select can name
        ended.register(self._ended, select.POLLIN)
        return bool(ended.poll(None if timeout is None else timeout * 1000))

    def _bury(self) -> int:
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self._ended)
        return self.returncode


class Template:
    """Made when the first fork is asked for; it ends with this process."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, arguments: Sequence[str], environ: Mapping[str, str], output: int, *others: int) -> Fork:
        """``python -m gateway ARGUMENTS`` with this environment and these descriptors: of stdout, of stderr (else that
        of stdout) and of stdin (else there is nothing to read)."""
        order = json.dumps({"arguments": list(arguments), "environ": dict(environ)}).encode()
        with self._one_at_a_time:
            self._socket = self._socket or self._start()
            socket.send_fds(self._socket, [order], [output, *others])
            answer = self._socket.recv(64)
        if not answer:
            raise RuntimeError("The template has ended; its stderr says why.")
        return Fork(int(answer))

    def _start(self) -> socket.socket:
        _adopt_orphans()
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.template", str(its.fileno())],
                cwd=Path(__file__).parents[2],
                env={**unmeasured, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )
        atexit.register(self.close)
        return ours

    def close(self) -> None:
        """End it; its forks live on. May be called twice."""
        atexit.unregister(self.close)
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait()
            self._socket = self._process = None


TEMPLATES: Final = itertools.cycle([Template(), Template()])
"""Two in turn, so that a node and the next one order their sets of strings differently, as on two machines."""


def _adopt_orphans() -> None:
    """A fork's own parent ends at once; without this the first process of the system would bury it."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _main(orders: socket.socket) -> int:
    """Fork for each order. Returns 0 in the template, when there will be no more, and in a fork its exit code."""
    for name in MODULES:
        importlib.import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1, "imports have started a thread, which forks would not have"
    gc.collect()
    gc.freeze()  # what is frozen is not looked at by the forks' collectors, and stays shared
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, MAX_ORDER_BYTES, 3)
        if not order:
            return 0
        pid = _fork_away()
        if pid == 0:
            orders.close()
            return _become(**json.loads(order), files=descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        orders.send(str(pid).encode())


def _fork_away() -> int:
    """As ``os.fork``, but the fork is an orphan by the time that its number is known."""
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.close(writing)
            return 0
        os.write(writing, str(pid).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(between, 0)
    pid = int(os.read(reading, 64))
    os.close(reading)
    return pid


def _become(arguments: list[str], environ: dict[str, str], files: list[int]) -> int:
    """``files`` are those of stdout, of stderr and of stdin, or the first only."""
    for descriptor, usual in ((files[0], 1), (files[min(1, len(files) - 1)], 2), *((each, 0) for each in files[2:])):
        os.dup2(descriptor, usual)
    for descriptor in files:
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environ)
    coverage = importlib.import_module("coverage")
    coverage.process_startup()  # does nothing where the environment does not ask for it
    importlib.reload(sys.modules[TIMED])
    program = importlib.import_module("gateway.__main__")
    sys.argv = [program.__file__ or "", *arguments]
    return int(program.main())


if __name__ == "__main__":
    sys.exit(_main(socket.socket(fileno=int(sys.argv[1]))))
