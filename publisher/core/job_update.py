"""The steps that bring a job to where somebody who is not its worker says it is."""

from __future__ import annotations

from typing import Any, Unpack

from publisher import channels
from publisher.core import given, steps
from publisher.core.answer_step import AT_ONCE, AnswerStep
from publisher.core.given import JobChanges
from publisher.core.options import Options
from publisher.core.pieces import MAX_ANSWER_BYTES, REASONING, TEXT, AnswerPiece, PieceRun, part_piece, room, text_piece
from publisher.core.step import Step
from publisher.exceptions import AnswerTooLong


def update(
    options: Options, job_id: str, owner: str | None, *, pending: bool, **changes: Unpack[JobChanges]
) -> list[Step | AnswerStep]:
    """The steps that bring a job to where the caller says it is; ``pending`` is whether it still has to start. What
    comes with an end is appended before it."""
    given.check(changes, JobChanges, "update_job()")
    job_id = channels.check_job_id(job_id)
    status, item = changes.get("status"), changes.get("item")
    life = steps.life(changes.get("progress"), changes)
    end = _end(options, job_id, owner, status, changes.get("result"), changes.get("error"))
    pieces = _pieces(options, job_id, changes)
    made: list[Step | AnswerStep] = []
    if pending and (pieces or ((status == "active" or life or item is not None) and end is None)):
        made.append(steps.start(job_id, owner))
    made += [AnswerStep(job_id, pieces[n : n + AT_ONCE], owner=owner) for n in range(0, len(pieces), AT_ONCE)]
    if item is not None:
        made.append(_item_from(options, job_id, owner, item))
    if end is not None:
        end.changes = {**life, **end.changes}
        made.append(steps.sized(options, end))
    elif life:
        made.append(steps.sized(options, Step("progress", job_id, owner, life)))
    says = changes.get("text") is not None or changes.get("reasoning") is not None  # nothing, maybe: models do
    if not made and status != "active" and not says:
        raise ValueError(
            "Nothing to change: give at least one of status, progress, message, stage, current, total, item, "
            "result, error, reasoning, text, part."
        )
    return made


def _pieces(options: Options, job_id: str, changes: JobChanges) -> list[AnswerPiece]:
    """What is appended to an answer, in this order: reasoning, text, a part."""
    limit = room(job_id, options.max_event_bytes)
    run = PieceRun(limit)
    for kind, words in ((REASONING, changes.get("reasoning")), (TEXT, changes.get("text"))):
        piece = None if words is None else text_piece(kind, words)
        if piece is not None:
            run.add(piece)
    if (part := changes.get("part")) is not None:
        run.add(part_piece(part, limit))
    size = sum(piece.size for piece in run.pieces())
    if size > MAX_ANSWER_BYTES:
        raise AnswerTooLong(0, MAX_ANSWER_BYTES)
    return run.pieces()


def _end(
    options: Options, job_id: str, owner: str | None, status: str | None, result: object, error: object
) -> Step | None:
    if status not in (None, "active", "completed", "failed", "cancelled"):
        raise ValueError(f"status must be active, completed, failed or cancelled, not {status!r}.")
    if result is not None and status != "completed":
        raise ValueError("A result needs status 'completed'.")
    if error is not None and status != "failed":
        raise ValueError("An error needs status 'failed'.")
    if status == "completed":
        return steps.complete(options, job_id, owner, result)
    if status == "failed":
        return steps.fail(options, job_id, owner, **_error_from(error))
    return steps.cancel(job_id, owner) if status == "cancelled" else None


def _error_from(error: object) -> dict[str, Any]:
    if error is None or isinstance(error, str):
        return {"message": error or "The job failed."}
    if not isinstance(error, dict) or "message" not in error or set(error) - {"message", "code", "details"}:
        raise ValueError("error must be text, or a dict with message and perhaps code and details.")
    return error


def _item_from(options: Options, job_id: str, owner: str | None, found: object) -> Step:
    if not isinstance(found, dict) or set(found) - {"item_id", *channels.ITEM_FIELDS}:
        raise ValueError("item must be a dict with item_id and some of filename, status, progress, message.")
    fields = {name: value for name, value in found.items() if name != "item_id"}
    return steps.item(options, job_id, owner, found.get("item_id", ""), **fields)
