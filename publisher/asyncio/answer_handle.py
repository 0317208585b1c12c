"""The asyncio handle of an answer: a job whose text arrives in pieces."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

from publisher.asyncio.job_handle import AsyncJobHandle
from publisher.core import flows, reports
from publisher.core.answer_writer import AnswerWriter
from publisher.core.given import JobOptions
from publisher.core.handle import LOOK_S
from publisher.core.models import ModelReader
from publisher.core.options import Options
from publisher.core.perform import Effects
from publisher.core.pieces import PART, REASONING, TEXT, AnswerPiece, text_piece
from publisher.core.record import Entry
from publisher.core.step import Step
from publisher.exceptions import BufferFull, PublisherError
from publisher.iteration import each

if TYPE_CHECKING:
    from publisher.asyncio.sender import AsyncSender

SLOW_S: Final = 0.02
"""A model does not wait for calls of Redis that take longer."""


class AsyncAnswerHandle(AsyncJobHandle):
    """One answer, seen by its worker: an :class:`AsyncJobHandle` with text, reasoning and other parts. They are
    gathered for at most 50 ms and keep their order among each other and with all other reports.

    A piece whose call raises was not taken. :class:`BufferFull`: Redis has been away for long; what was taken before
    still waits.

    Once the answer was cancelled, which a newer one in its chat does too, :meth:`text`, :meth:`reasoning`,
    :meth:`part` and :meth:`stream` raise :class:`JobCancelled`; :class:`JobFinished` where it has ended otherwise.
    """

    def __init__(self, options: Options, birth: Step, held: JobOptions, sender: AsyncSender) -> None:
        self.chat = birth.chat
        super().__init__(options, birth, held, sender)
        self._writer = AnswerWriter(options, self._record)
        self._gathering = _Gathering(self)
        sender.answers.add(self._gathering)
        self._loops = 0
        self._flying = False
        """Whether pieces are on their way, or about to be."""
        self._slow = False
        self._trouble: PublisherError | None = None
        """Why pieces could not go, for the next call to raise."""

    async def text(self, text: str) -> None:
        """Append to the answer's text. Raises ``ValueError`` for half a character, :class:`AnswerTooLong`; nothing of
        before is lost."""
        await self._write(text_piece(TEXT, text))

    async def reasoning(self, text: str) -> None:
        """Append to what the model says about its way to the answer."""
        await self._write(text_piece(REASONING, text))

    async def part(self, part: dict[str, Any]) -> None:
        """Append a chunk of the AI SDK's UI message stream that is neither text nor reasoning: ``data-…``,
        ``tool-input-available``, ``source-url``, ``file`` … Raises ``ValueError`` for what is none."""
        if self._writer.asks_back(part):
            self._writer.calls.take_in(await self._sender.run(flows.tool_calls(self._options, self.job_id)))
        await self._write(self._writer.part(part), part)

    async def stream(self, model: Iterable[Any] | AsyncIterable[Any]) -> None:
        """Append all that a model says: pieces of text, dicts as :meth:`part` takes them, and what the libraries of
        OpenAI and Anthropic stream. However it ends, the model's generator is closed; where the answer is cancelled
        while the model says nothing, within about a second."""
        try:
            async with self._while_wanted():
                await self._write_all(model)
        finally:
            close = getattr(model, "aclose", None) or getattr(model, "close", None)
            if callable(close):
                closing = close()
                if isawaitable(closing):
                    await closing

    async def _write_all(self, model: Iterable[Any] | AsyncIterable[Any]) -> None:
        reader = ModelReader()
        async for said in each(model):
            if type(said) is str:
                await self.text(said)
                continue
            for kind, value in reader.read(said):
                await self._say(kind, value)
            await self.raise_if_cancelled()
        for kind, value in reader.finish():
            await self._say(kind, value)

    @contextlib.asynccontextmanager
    async def _while_wanted(self) -> AsyncIterator[None]:
        """Break off what waits inside when the answer is cancelled meanwhile. Raises :class:`JobCancelled` then."""
        try:
            async with asyncio.timeout(None) as scope:
                watching = asyncio.create_task(self._watch(scope), name="sse-publisher-watch")
                try:
                    yield
                finally:
                    watching.cancel()
        except TimeoutError:
            if scope.expired():
                self._raise_if_cancelled()
            raise

    async def _watch(self, scope: asyncio.Timeout) -> None:
        """Ask how the answer stands, as long as no call for a piece says so."""
        while not self.cancelled:
            await asyncio.sleep(LOOK_S)
            silent = time.monotonic() > self._writer.open_at + LOOK_S
            if silent and not self._record.deaf and self._may_look() and not await self._sender.look(self._record):
                self._look_failed()
        scope.reschedule(asyncio.get_running_loop().time())

    async def _say(self, kind: str, value: Any) -> None:
        if kind == PART:
            await self.part(value)
        else:
            await self._write(text_piece(kind, value))

    async def _write(self, piece: AnswerPiece | None, part: dict[str, Any] | None = None) -> None:
        """Where calls take their time, the model is not held up by them: what comes meanwhile leaves with the next."""
        moves = self._sender.at_home()
        if moves != self._loops:
            self._loops, self._flying = moves, False  # what was under way has gone with the old loop
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        waited, writer = self._writer.waits, self._writer
        # What waits goes at its moment, and what comes during a flight behind it.
        at_once = writer.add(piece) and not waited and not self._flying
        if part is not None:
            writer.calls.note(part)
        if not waited:
            writer.said_under = self._tracing.current()
        if writer.full or (at_once and not self._slow):
            await self._fly()
            writer.check()
        elif at_once:
            self._flying = True
            self._sender.gathered.soon(self._gathering)
            await asyncio.sleep(0)
        else:
            self._arm()

    def _arm(self) -> None:
        """What waits goes out at its moment, whatever has become of the flights before it."""
        if self._writer.waits and not (self._flying or self._record.ended or self._record.deaf):
            self._sender.gathered.at(self._writer.open_at, self._gathering)

    async def _fly(self) -> None:
        """Send what waits. Raises nothing of the publisher's: it is kept for the next call."""
        self._flying = True
        try:
            async with self._turn():
                await self._sender.follow(self._flight())
        finally:
            self._landed()

    def _landed(self) -> None:
        self._flying = False
        self._arm()

    def _flight(self) -> Effects[None]:
        """What :meth:`_fly` does in its turn."""
        self._flying = True
        start = time.monotonic()
        try:
            if not self._record.ended and self._writer.waits:
                yield from self._bring()
                while self._writer.full:  # what else came meanwhile waits for its own moment
                    yield from self._bring()
        except PublisherError as trouble:
            self._trouble = trouble
        finally:
            self._slow = time.monotonic() - start > SLOW_S
            self._landed()

    async def _report(self, entry: Entry) -> None:
        if not self._record.ended:
            await self._sender.follow(self._flush(last=isinstance(entry, Step) and entry.ends))
        await super()._report(entry)

    def _flush(self, *, last: bool = False) -> Effects[None]:
        while self._writer.waits:
            yield from self._bring(last=last)

    def _bring(self, *, last: bool = False) -> Effects[None]:
        """Send what waits, or its beginning."""
        step = self._writer.take(last=last)
        assert step is not None
        try:
            if self._admit(step):
                with self._span(step) as step.traceparent:
                    yield from self._sender.reporting(self._record, step)
        except BufferFull:
            self._writer.put_back(step)
            raise
        except BaseException:
            self._writer.sent(step)
            raise
        self._writer.sent(step)


class _Gathering:
    """Pieces that wait for their moment, to the publisher's timers: a :class:`GatheringHandle`."""

    def __init__(self, handle: AsyncAnswerHandle) -> None:
        self._handle = handle

    @property
    def waits(self) -> bool:
        return self._handle._flying or self._handle._writer.waits

    def turn(self) -> asyncio.Lock:
        return self._handle._turn_after(self._handle._sender.moves)

    def flight(self) -> Effects[None]:
        return self._handle._flight()

    async def fly(self) -> None:
        await self._handle._fly()

    async def bring_all(self) -> None:
        handle = self._handle
        try:
            async with handle._turn():
                if not handle._record.ended:
                    await handle._sender.follow(handle._flush())
        except PublisherError as trouble:
            reports.log.error("What waited of the answer %s could not be sent: %s", handle.job_id, trouble)
