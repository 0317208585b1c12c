"""The publisher's errors on their way out of a process: pickled, copied, and made anew from their args."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from publisher import (
    BufferFull,
    EventTooLarge,
    JobCancelled,
    JobError,
    JobExists,
    JobFinished,
    JobNotFound,
    PublisherClosed,
    PublisherError,
    PublishError,
)
from publisher.core import drafts
from publisher.core.options import Options
from publisher.testing import RecordingPublisher

ERRORS = [
    PublisherError("no luck"),
    PublishError("Redis is away."),
    PublisherClosed(),
    BufferFull("full"),
    EventTooLarge(12, 10),
    JobError("j", "wrong state"),
    JobExists("j", "There is a job j already."),
    JobNotFound("j"),
    JobFinished("j", "failed"),
    JobCancelled("j"),
]


def _raise(error: PublisherError) -> None:
    raise error


def _report_after_the_end() -> None:
    with RecordingPublisher().job("j", kind="k") as job:
        job.complete()
        job.progress(1)


def _same(found: BaseException, error: BaseException) -> bool:
    return type(found) is type(error) and str(found) == str(error) and vars(found) == vars(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_itself_after_pickling_copying_and_from_its_args(error: PublisherError) -> None:
    """A queue's result store keeps the class and the args alone."""
    assert str(error)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert _same(pickle.loads(pickle.dumps(error, protocol)), error)
    assert _same(copy.copy(error), error)
    assert _same(copy.deepcopy(error), error)
    assert _same(type(error)(*error.args), error)


def test_an_error_that_names_an_index_is_itself_after_pickling() -> None:
    with pytest.raises(EventTooLarge, match=r"^Event 1: .*at most 5") as caught:
        drafts.drafts(Options(max_event_bytes=5), [("broadcast", "t", 1), ("broadcast", "t", "x" * 9)])
    assert _same(pickle.loads(pickle.dumps(caught.value)), caught.value)
    assert caught.value.size == 11


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_errors_come_out_of_a_process_pool() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        for error in ERRORS:
            found = pool.submit(_raise, error).exception(30)
            assert found is not None
            assert _same(found, error)
        late = pool.submit(_report_after_the_end).exception(30)
        assert isinstance(late, JobFinished)
        assert (late.job_id, late.status) == ("j", "completed")
