"""The jobs that a publisher's handles hold: what the same publisher ends, they know at once. Pure."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakValueDictionary

from publisher.core.record import JobRecord
from publisher.core.requests import Call, Effect
from publisher.core.scripts import JobArgs, ScriptName

_OP: Final = JobArgs._fields.index("op")
_JOB_ID: Final = JobArgs._fields.index("job_id")


class OpenJobs:
    """Records by job id, as long as somebody holds them."""

    def __init__(self) -> None:
        self._records: WeakValueDictionary[str, JobRecord] = WeakValueDictionary()

    def hold(self, record: JobRecord) -> None:
        """A handle has opened this job."""
        self._records[record.job_id] = record

    def heard(self, request: Effect, reply: Any) -> Any:
        """Take in what Redis answered, and pass it on: a job that was cancelled in its own worker's process, by a call
        or by a newer answer, is not worked at any further."""
        if isinstance(request, Call) and request.script is ScriptName.JOB and request.args[_OP] == "cancel":
            record = self._records.get(str(request.args[_JOB_ID]))
            if record is not None and reply[0] == b"ok":
                record.stands(b'"cancelled"', None)
        return reply
