"""The blocking handle of an answer: a job whose text arrives in pieces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from publisher.blocking.job_handle import JobHandle
from publisher.core import flows
from publisher.core.answer_writer import AnswerWriter
from publisher.core.given import JobOptions
from publisher.core.models import ModelReader
from publisher.core.options import Options
from publisher.core.pieces import PART, REASONING, TEXT, AnswerPiece, text_piece
from publisher.core.record import Entry
from publisher.core.step import Step
from publisher.exceptions import BufferFull, PublisherError

if TYPE_CHECKING:
    from publisher.blocking.sender import Sender


class AnswerHandle(JobHandle):
    """One answer, seen by its worker: a :class:`JobHandle` with text, reasoning and other parts. They are gathered for
    at most 50 ms and keep their order among each other and with all other reports.

    A piece whose call raises was not taken. :class:`BufferFull`: Redis has been away for long; what was taken before
    still waits.

    Once the answer was cancelled, which a newer one in its chat does too, :meth:`text`, :meth:`reasoning`,
    :meth:`part` and :meth:`stream` raise :class:`JobCancelled`; :class:`JobFinished` where it has ended otherwise.
    """

    def __init__(self, options: Options, birth: Step, held: JobOptions, sender: Sender) -> None:
        self.chat = birth.chat
        super().__init__(options, birth, held, sender)
        self._writer = AnswerWriter(options, self._record)
        self._gathering = _Gathering(self)
        self._trouble: PublisherError | None = None
        """Why pieces could not go, for the next call to raise."""

    def _after_fork(self) -> None:
        super()._after_fork()
        self._writer.forget()

    def text(self, text: str) -> None:
        """Append to the answer's text. Raises ``ValueError`` for half a character, :class:`AnswerTooLong`; nothing of
        before is lost."""
        self._write(text_piece(TEXT, text))

    def reasoning(self, text: str) -> None:
        """Append to what the model says about its way to the answer."""
        self._write(text_piece(REASONING, text))

    def part(self, part: dict[str, Any]) -> None:
        """Append a chunk of the AI SDK's UI message stream that is neither text nor reasoning: ``data-…``,
        ``tool-input-available``, ``source-url``, ``file`` … Raises ``ValueError`` for what is none."""
        with self._lock:
            if self._writer.asks_back(part):
                self._writer.calls.take_in(self._sender.run(flows.tool_calls(self._options, self.job_id)))
            piece = self._writer.part(part)
            self._take_in(piece)
            self._writer.calls.note(part)

    def stream(self, model: Iterable[Any]) -> None:
        """Append all that a model says: pieces of text, dicts as :meth:`part` takes them, and what the libraries of
        OpenAI and Anthropic stream. However it ends, the model's generator is closed; where the answer is cancelled,
        at the model's next piece: no thread can call another back that waits for a socket."""
        reader = ModelReader()
        try:
            for said in model:
                if type(said) is str:
                    self.text(said)
                    continue
                for kind, value in reader.read(said):
                    self._say(kind, value)
                self.raise_if_cancelled()
            for kind, value in reader.finish():
                self._say(kind, value)
        finally:
            close = getattr(model, "close", None)
            if callable(close):
                close()

    def _say(self, kind: str, value: Any) -> None:
        if kind == PART:
            self.part(value)
        else:
            self._write(text_piece(kind, value))

    def _write(self, piece: AnswerPiece | None) -> None:
        with self._lock:
            self._take_in(piece)

    def _take_in(self, piece: AnswerPiece | None) -> None:
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        waited = self._writer.waits
        due = self._writer.add(piece)
        if not waited:
            self._writer.said_under = self._tracing.current()
        if due:
            self._send_now()
            self._writer.check()
        elif not waited and piece is not None:
            self._sender.later.at(self._writer.open_at, self._gathering)

    def _report(self, entry: Entry) -> None:
        if not self._record.ended:
            self._flush(last=isinstance(entry, Step) and entry.ends)
        super()._report(entry)

    def _keep(self, end: Step) -> None:
        while (step := self._writer.take(last=True)) is not None:
            self._sender.keep(self._record, step)
            self._writer.sent(step)
        super()._keep(end)

    def _flush(self, *, last: bool = False) -> None:
        while (step := self._writer.take(last=last)) is not None:
            try:
                super()._report(step)
            except BufferFull:
                self._writer.put_back(step)
                raise
            except BaseException:
                self._writer.sent(step)
                raise
            self._writer.sent(step)

    def _send_now(self) -> None:
        """Raises nothing of the publisher's: what waits goes on waiting, and the next call raises it."""
        try:
            if not self._record.ended:
                self._flush()
        except PublisherError as trouble:
            self._trouble = trouble

    def _send_gathered(self) -> None:
        with self._lock:
            self._send_now()


class _Gathering:
    """Pieces that wait for their moment, to the publisher's thread."""

    def __init__(self, handle: AnswerHandle) -> None:
        self._handle = handle

    def send_waiting(self) -> None:
        """Send them. Raises nothing."""
        self._handle._send_gathered()
