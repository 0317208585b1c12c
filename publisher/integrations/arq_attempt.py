"""One try of a task in arq's worker, and what arq makes of an exception that leaves it. No I/O.

A function that is cancelled is not told why: its time limit, a worker that is being stopped, and ``Job.abort()`` look
alike. arq's own task around it is cancelled in the second case alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from arq import Retry
from arq.worker import JobExecutionFailed, RetryJob


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """What arq allows a function."""

    tries: int
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class TaskBegan:
    """When arq began with a task, and its own task around the function. Made before its clock starts."""

    task: asyncio.Task[Any] | None
    at: float

    @classmethod
    def now(cls) -> Self:
        return cls(asyncio.current_task(), asyncio.get_running_loop().time())


class TaskEnding(NamedTuple):
    """Whether arq runs the task again, and why this try ended."""

    again: bool
    why: BaseException


@dataclass(frozen=True, slots=True)
class TaskAttempt:
    """Try number ``number`` of a task."""

    number: int
    began: TaskBegan
    limits: TaskLimits

    @property
    def last(self) -> bool:
        return self.number >= self.limits.tries

    @property
    def _too_long(self) -> bool:
        took = asyncio.get_running_loop().time() - self.began.at
        return self.limits.timeout_s is not None and took >= self.limits.timeout_s

    @property
    def _stopping(self) -> bool:
        return self.began.task is not None and self.began.task.cancelling() > 0

    def ending(self, error: BaseException, *, retries: bool) -> TaskEnding:
        """``retries``: whether the worker tries anything again. A try beyond the last one is refused by arq when it
        is taken, without a word to anybody; so the last one ends the job."""
        if isinstance(error, Retry | RetryJob):
            cause = error.__cause__ or error.__context__
            return self._ending(retries, cause, "The task asks to be run again.", error)
        if isinstance(error, asyncio.CancelledError):
            if self._too_long:
                return TaskEnding(False, TimeoutError(f"The task took longer than {self.limits.timeout_s:g} s."))
            return self._ending(retries and self._stopping, None, "Its worker is being stopped.", error)
        return TaskEnding(False, error)

    def _ending(self, again: bool, cause: BaseException | None, words: str, error: BaseException) -> TaskEnding:
        if not again:
            return TaskEnding(False, error)
        if self.last:
            return TaskEnding(False, cause or JobExecutionFailed(f"max {self.limits.tries} retries exceeded"))
        return TaskEnding(True, cause or RuntimeError(words))
