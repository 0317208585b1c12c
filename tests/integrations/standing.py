"""How a job stands: what tests of queues wait for."""

from __future__ import annotations

from publisher import Job, Publisher
from tests.support.waiting import wait_until


def has(pub: Publisher, job_id: str, status: str, attempt: int = 1) -> Job:
    """The job, once it stands so."""
    found: list[Job | None] = [None]

    def so() -> bool:
        found[0] = pub.get_job(job_id)
        return found[0] is not None and found[0].status == status and found[0].attempt >= attempt

    try:
        wait_until(so, f"job {job_id} {status}")
    except TimeoutError as error:
        raise AssertionError(f"{error} It is {found[0]}.") from None
    assert found[0] is not None
    return found[0]
