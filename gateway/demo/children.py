"""Child processes that never outlive their parent, however it ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

TERM_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1


class Child:
    """A process with a session of its own, so that Ctrl-C in the terminal reaches only the parent, which ends it.

    Its stdin is a pipe that ends with the parent, for children that watch it. On Linux the kernel kills the child
    besides. Start it from the main thread: the kernel's promise hangs on the thread. ``inherited`` are file descriptors
    that it gets under the same numbers.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: dict[str, str] | None = None,
        quiet: bool = False,
        inherited: Sequence[int] = (),
    ) -> None:
        try:
            with _signals_wait() as hear:
                self._process = subprocess.Popen(
                    command,
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL if quiet else None,
                    stderr=subprocess.DEVNULL if quiet else None,
                    start_new_session=True,
                    pass_fds=inherited,
                    preexec_fn=_both(hear, _dies_with_parent()),
                )
        except BaseException:
            if hasattr(self, "_process"):  # a signal that has waited; nobody else knows of the child yet
                self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def tell(self, line: bytes) -> None:
        """Write to its stdin; nothing happens where it has ended or does not read."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        self.stop()

    def freeze(self) -> None:
        """Let it stand still, with all its connections open, until :meth:`thaw`. Not on Windows."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """The beginning of :meth:`stop`, for several that shall end together."""
        if self._process.poll() is None:
            self._process.terminate()
            if os.name == "posix":
                self.thaw()  # it could not hear that otherwise

    def stop(self) -> None:
        """Ask it to end, and kill it where it does not within 5 s. May be called twice."""
        if self._process.poll() is None:
            self.ask_to_stop()
            try:
                self._process.wait(TERM_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # what it was told last may not have reached it
                self._process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def _signals_wait() -> Iterator[Callable[[], None] | None]:
    """Signals that end the process arrive when this is left. One that came while a process is forked would raise inside
    a hook of the fork, where Python drops the exception: the signal would be lost. Gives what lets the child hear them.
    """
    if os.name != "posix":
        yield None
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield lambda: _hear(before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hear(mask: set[signal.Signals] | set[int]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _both(first: Callable[[], None] | None, second: Callable[[], None] | None) -> Callable[[], None] | None:
    def run() -> None:
        for each in (first, second):
            if each is not None:
                each()

    return run if first or second else None


def _dies_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    parent = os.getpid()

    def arrange() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was told
            os._exit(1)

    return arrange
