"""The job that the running task is: what task code of any queue reports through, and what says that it is reported."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Final, TypeVar, overload

from publisher import channels, jsontext
from publisher.iteration import each

F = TypeVar("F", bound=Callable[..., Any])

OWNER: Final = "sse_owner"
KIND: Final = "sse_kind"
META: Final = "sse_meta"
MARK: Final = "__sse_reported__"
"""What ``@reported`` leaves on a function: its kind, empty for the task's name."""

running: Final[ContextVar[Any]] = ContextVar("publisher.current_job", default=None)
"""The handle of the running task; the integrations set it."""


@contextlib.contextmanager
def running_as(job: Any) -> Iterator[None]:
    """Inside, ``current_job()`` is this handle."""
    token = running.set(job)
    try:
        yield
    finally:
        running.reset(token)


def current_job() -> Any:
    """The handle of the job that the running task is: an :class:`AsyncJobHandle` in a coroutine task, else a
    :class:`JobHandle`. Outside of a reported task it is an :class:`IdleJob`, which does nothing."""
    return running.get() or IDLE


def job_headers(
    *, owner: str | None = None, kind: str | None = None, meta: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What a task is queued with, so that it is a job of somebody: a flat dict of text. ``kind`` is the task's name
    where it is left out. Raises ``ValueError`` for ids that a channel does not allow and for a meta that is not JSON.
    """
    headers: dict[str, Any] = {}
    if owner is not None:
        headers[OWNER] = channels.check_id(owner, "owner")
    if kind is not None:
        headers[KIND] = channels.check_id(kind, "job kind")
    if meta is not None:
        headers[META] = jsontext.mapping(meta, "meta").decode()
    return headers or {META: "null"}


@overload
def reported(function: F, /) -> F: ...
@overload
def reported(*, kind: str | None = None) -> Callable[[F], F]: ...
def reported(function: Any = None, /, *, kind: str | None = None) -> Any:
    """Decorator: every run of this task is a job, whoever queues it. It stands below the queue's own decorator.
    ``kind`` is the task's name where it is left out. Raises ``ValueError`` for one that is not an id."""
    mark = "" if kind is None else channels.check_id(kind, "job kind")

    def note(target: F) -> F:
        setattr(target, MARK, mark)
        return target

    return note if function is None else note(function)


class IdleJob:
    """What ``current_job()`` gives where no job is: takes every call of a job handle and does nothing, so that task
    code runs in a plain test. Its methods may be awaited, and need not be."""

    job_id = ""
    owner = None
    attempt = 1
    cancelled = False

    def __repr__(self) -> str:
        return "<IdleJob: no job is running here>"

    def _nothing(self, *_: Any, **__: Any) -> _Done:
        return _DONE

    progress = item = log = emit = complete = fail = retrying = _nothing
    plan = raise_if_cancelled = wait_if_paused = _nothing

    def stage(self, name: str) -> _IdleStage:
        return _IdleStage()

    def track(self, iterable: Any, *, total: float | None = None) -> _Tracked:
        return _Tracked(iterable)


class _Done:
    """Nothing, which may be awaited."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class _IdleStage(contextlib.nullcontext[IdleJob]):
    def __init__(self) -> None:
        super().__init__(IDLE)


class _Tracked:
    """The items as they are, for ``for`` and ``async for``."""

    def __init__(self, items: Iterable[Any] | AsyncIterable[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        if not isinstance(self._items, Iterable):
            raise TypeError("Use async for: these items come from an asynchronous iterator.")
        return iter(self._items)

    def __aiter__(self) -> AsyncIterator[Any]:
        return each(self._items)


_DONE: Final = _Done()
IDLE: Final = IdleJob()
