"""Publishes the lines of a stream in batches, and names the bad ones by their number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from gateway.commands.jsonlines import NumberedLine
from publisher import Publisher
from publisher.channels import job_id_of
from publisher.exceptions import JobError
from publisher.jsontext import check_integers

MAX_BATCH: Final = 500
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024


class LineFeed:
    """``refuse`` is told the number of a bad line and what is wrong with it; nothing is sent for such a line.

    Events go out in the order of the lines. What has been taken waits until :meth:`flush`, or until a batch is full.
    """

    def __init__(self, publisher: Publisher, refuse: Callable[[int, str], None]) -> None:
        self._publisher = publisher
        self._refuse = refuse
        self._batch: list[tuple[int, dict[str, Any]]] = []
        self._bytes = 0
        self.sent = 0
        self.refused = 0

    @property
    def first_waiting(self) -> int | None:
        """The number of the first line that waits, or whose sending failed."""
        return self._batch[0][0] if self._batch else None

    def take(self, line: NumberedLine) -> None:
        """Check a line and put it into the batch; an empty one is passed over. Raises ``PublishError``."""
        if line.text == b"":
            return
        try:
            event = _event(line.text)
        except ValueError as error:
            self._bad(line.number, str(error))
            return
        channel = event.get("channel")
        of_a_job = isinstance(channel, str) and job_id_of(channel) is not None
        if of_a_job:
            # A job that has ended refuses its events, and only a batch of one says which line that was.
            self.flush()
        self._batch.append((line.number, event))
        self._bytes += len(line.text or b"")
        if of_a_job or len(self._batch) >= MAX_BATCH or self._bytes >= MAX_BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Publish what waits. Raises ``PublishError``; the batch is kept then, and may be in Redis in part."""
        if not self._batch:
            return
        try:
            self._publisher.publish_many([event for _, event in self._batch])
            self.sent += len(self._batch)
        except (ValueError, JobError):
            self._one_by_one()  # all are checked before any is sent, so none of them is in
        self._batch.clear()
        self._bytes = 0

    def _one_by_one(self) -> None:
        while self._batch:
            number, event = self._batch[0]
            try:
                self._publisher.publish_many([event])
                self.sent += 1
            except (ValueError, JobError) as error:
                self._bad(
                    number, str(error).removeprefix("Event 0: ").removesuffix(" The rest of the list was published.")
                )
            del self._batch[0]

    def _bad(self, number: int, sentence: str) -> None:
        self.refused += 1
        self._refuse(number, sentence)


def _event(text: bytes | None) -> dict[str, Any]:
    if text is None:
        raise ValueError("It is longer than any event may be.")
    check_integers(text, "line")
    try:
        event = orjson.loads(text)
    except ValueError:
        raise ValueError('It is not JSON; a line is {"channel": …, "type": …, "data": …}.') from None
    if not isinstance(event, dict):
        raise ValueError('It is not a JSON object; a line is {"channel": …, "type": …, "data": …}.')
    return event
