"""A task while a worker of taskiq has it, and what stands around its function meanwhile."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token
from typing import Any, Final

from taskiq import TaskiqMessage

from publisher.current import running
from publisher.exceptions import JobCancelled

_REQUEUES: Final = "X-Taskiq-requeue"
_RETRIES: Final = "retry_on_error"
_GUARDED: Final = "_sse_guarded"


class TaskRun:
    """``job`` is its handle; None where it runs without, and when its end has been told. ``unwanted`` is set where
    nobody wants it any more, ``error`` when its function has raised."""

    def __init__(self, message: TaskiqMessage, *, blocking: bool) -> None:
        self.message = message
        self.blocking = blocking
        self.job: Any = None
        self.unwanted: JobCancelled | None = None
        self.error: BaseException | None = None
        self._requeues = message.labels.get(_REQUEUES)
        self._tokens: tuple[Token[Any], Token[Any]] | None = None

    @property
    def requeued(self) -> bool:
        """Whether the task has called ``Context.requeue()``."""
        return bool(self.message.labels.get(_REQUEUES) != self._requeues)

    def enter(self) -> None:
        """From here on ``current_job()`` is this task's."""
        self._tokens = _run.set(self), running.set(self.job)

    def leave(self) -> None:
        if self._tokens is not None:
            _run.reset(self._tokens[0])
            running.reset(self._tokens[1])

    def not_again(self) -> None:
        """Keep the middlewares that retry from doing so."""
        self.message.labels[_RETRIES] = False


_run: ContextVar[TaskRun | None] = ContextVar("publisher.integrations.taskiq", default=None)


def run_of(task_id: str) -> TaskRun | None:
    """The run of this task, if that is what runs here."""
    run = _run.get()
    return run if run is not None and run.message.task_id == task_id else None


@contextlib.contextmanager
def _inside() -> Iterator[None]:
    run = _run.get()
    if run is None:
        yield
        return
    if run.unwanted is not None:
        run.not_again()
        raise run.unwanted
    try:
        yield
    except JobCancelled:
        run.not_again()
        raise
    except BaseException as error:
        run.error = error
        raise


class GuardedFunction:
    """A plain function. In a pool of processes, where no job is reported, the function itself arrives."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _inside():
            return self._function(*args, **kwargs)

    def __reduce__(self) -> Any:
        return _same, (self._function,)


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def guarded(function: Any) -> Any:
    """The function of a task, which is not called where nobody wants it, and not tried again where it was cancelled."""
    if hasattr(function, _GUARDED):
        return function
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            with _inside():
                return await function(*args, **kwargs)

        found: Any = checked
    else:
        found = GuardedFunction(function)
    setattr(found, _GUARDED, True)
    return found
