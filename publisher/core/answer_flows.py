"""How pieces get into an answer: again where Redis has lost some, once where only the reply was lost. Flows; no I/O."""

from __future__ import annotations

from publisher.core.answer_step import AnswerStep
from publisher.core.options import Options
from publisher.core.perform import MAX_TURNS, Flow, perform
from publisher.core.record import JobRecord
from publisher.core.replies import Outcome
from publisher.core.step import Step


def write(options: Options, record: JobRecord | None, step: AnswerStep) -> Flow[Outcome]:
    """Append pieces to an answer, after those that Redis has lost of what was written before them. What had arrived
    already, when its answer got lost, is not appended again."""
    outcome = Outcome("missing")
    for _ in range(MAX_TURNS):
        flew, written = step.tried, step.written
        outcome = yield from perform(options, step)
        if outcome.verdict == "written":
            if written is not None:
                written.landed(step, outcome.there)
            return outcome._replace(verdict="ok")
        if outcome.verdict == "pending":
            lease, worker = (record.lease, record.worker) if record else (None, "")
            yield from perform(options, Step("open", step.job_id, step.owner, lease=lease, worker=worker))
        elif outcome.verdict == "behind" and written is not None:
            if written.base is not None and outcome.there < written.base:
                written.base = outcome.there  # what others had written is gone for good; this worker's own is not
            for lost in written.lost(step.job_id, outcome.there, step.before):
                yield from perform(options, lost)
        elif outcome.verdict == "ahead" and written is not None:
            if written.base is None:
                written.landed(step, outcome.there)
                return outcome._replace(verdict="ok")
            if flew and outcome.there >= written.base + step.end:
                return outcome._replace(verdict="ok")
            written.base = outcome.there - step.before  # somebody else has written too
        elif outcome.verdict != "behind":
            break
    return outcome
