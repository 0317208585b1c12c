"""A queue on the test bench: what the story needs to know of one, so that all queues go through the same tests."""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from tests.integrations.worker import Worker
from tests.support.proxy import Proxy


@dataclass(frozen=True)
class Places:
    """Where things are. Each queue has a database of its own on the server; all events are in one."""

    queue_url: str
    events_url: str
    """For the process that queues."""
    way: Proxy
    """The way of workers to the same Redis, which tests may break."""
    prefix: str
    """First part of the keys of all events. The queue's own database needs none."""
    folder: Path
    """For this queue alone: the worker's log, and the files that tasks wait for."""

    @property
    def environment(self) -> dict[str, str]:
        return {"QUEUE_URL": self.queue_url, "EVENTS_URL": self.events_url, "PREFIX": self.prefix}


class Bench(ABC):
    """One queue with at most one worker process, which runs one task at a time.

    A subclass in ``<queue>_bench.py`` has four things: ``name``, :meth:`arguments`, :meth:`queue` and :meth:`result`;
    ``benches.py`` lists it in ``BENCHES``. Its tasks are the functions of ``work.py`` (coroutine queues have their
    like of each), registered under the same names in ``<queue>_tasks.py``, which the worker and the test both load; it
    reads ``QUEUE_URL``, ``EVENTS_URL``, ``PREFIX`` and ``ON_WORKER_LOST`` from the environment as it is loaded, and
    reports with ``prefix=PREFIX, **work.options()``. What they must do:

    - ``paint(steps)``: some progress, then ``{"strokes": steps}``;
    - ``broken()``: raises ``LookupError("There is no paint.")`` and is not retried;
    - ``flaky(failures)``: ``ConnectionError`` in its first tries, then ``"try N"``; retried at once, at most twice;
    - ``wait()``: reports progress every 50 ms until it is cancelled; would be retried for any exception, and where the
      queue can do so it is run again after its worker was killed, within a few seconds;
    - ``gate(path)``: makes the file ``path + ".begun"``, waits for the file ``path``, reports progress, makes the file
      ``path + ".left"`` and returns ``"through"``.

    All calls block, also those of an asyncio queue (keep an ``asyncio.Runner``); the story makes them from a thread
    where it has an event loop itself. Nothing here may take long: one bench serves all rows of the story.
    """

    name: ClassVar[str]
    runs_again: ClassVar[bool] = True
    """Whether the queue runs ``wait`` again by itself after its worker was killed."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.log = places.folder / "worker.log"
        self._worker: Worker | None = None

    @abstractmethod
    def arguments(self) -> list[str]:
        """What stands behind ``python -m`` to start a worker."""

    def environment(self, on_worker_lost: str) -> dict[str, str]:
        """What a worker finds in its environment."""
        given = {"EVENTS_URL": self.places.way.redis_url, "ON_WORKER_LOST": on_worker_lost}
        return {**self.places.environment, **given}

    @abstractmethod
    def queue(
        self, task: str, *arguments: Any, owner: str, kind: str | None = None, meta: dict[str, Any] | None = None
    ) -> str:
        """Queue the task of this name for somebody, as a web server does. Returns its id, which is its job's too."""

    @abstractmethod
    def result(self, task_id: str) -> object:
        """What the queue itself keeps as the task's return value; None as long as there is none, or if it failed."""

    def close(self) -> None:
        """Let go of what was opened. Subclasses close their connections too."""
        self.kill()

    def start(self, on_worker_lost: str = "fail", *, measured: bool = True) -> None:
        """Start the worker; the one that runs already is killed. ``measured``: lines that it runs are covered."""
        self.kill()
        self._worker = Worker(self.arguments(), self.environment(on_worker_lost), self.log, measured=measured)

    def ensure_worker(self) -> None:
        """Start a worker where none runs."""
        if self._worker is None:
            self.start()

    def kill(self) -> None:
        """SIGKILL for the worker and all its processes, as when its machine loses power."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def stop(self) -> None:
        """Ask the worker to end (SIGTERM), and wait until it has; lines that it ran are covered only so."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def said(self) -> str:
        """The end of the worker's log."""
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def load(self, module: str) -> ModuleType:
        """The module of the tasks as the process that queues has it, with its own copy for each bench."""
        return load(module, self.places.environment)


def load(module: str, environment: Mapping[str, str]) -> ModuleType:
    """A module of tasks that reads the environment when it is imported; a new one for each call."""
    spec = importlib.util.find_spec(f"tests.integrations.{module}")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    with surrounded(environment), pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, found)  # taskiq looks for it there
        spec.loader.exec_module(found)
    return found


@contextmanager
def surrounded(environment: Mapping[str, str]) -> Iterator[None]:
    """With these variables in the environment of this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield
