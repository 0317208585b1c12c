"""The dialect ``ai``: answers as ``useChat`` of the AI SDK follows, finds again and stops them."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.auth.callers import Callers
from gateway.auth.principal import Principal, Source
from gateway.broker.history import History
from gateway.dialects.ai_encoder import AnswerEncoder
from gateway.exceptions import BadRequest, Forbidden
from gateway.http import responses
from gateway.http.body import SMALL_BODY_BYTES, parse, read
from gateway.http.endpoint import Endpoints
from gateway.streams.admission import last_event_id
from gateway.streams.chat_answers import ChatAnswers
from gateway.streams.plan import Lookup, Plan
from gateway.streams.request import StreamRequest
from gateway.streams.route import StreamRoutes
from publisher import AsyncPublisher, JobFinished, JobNotFound
from publisher import channels as names
from publisher.job import Job

ENCODER: Final = AnswerEncoder()
"""For what is the same in all streams; each has one of its own."""


def _plan(channel: str, chat: str) -> Plan:
    def is_of_chat(job: Job) -> bool:
        return job.kind == names.ANSWER and job.chat == chat

    return Plan((channel,), AnswerEncoder(), is_of_chat)


class ChatStreams:
    """The streams of a chat's answers."""

    def __init__(self, answers: ChatAnswers) -> None:
        self._answers = answers

    def plan(self, request: StreamRequest, caller: Principal) -> Plan | Lookup:
        """``?answer=`` names one answer; without it the one is meant that is being given in the caller's chat."""
        chat = names.check_id(request.path_params["chat_id"], "chat id")
        answer = request.query_params.get("answer")
        if answer is not None:
            return _plan(names.job_channel(answer), chat)
        position = last_event_id(request)

        async def found() -> Plan | None:
            channel = await self._answers.channel(caller, chat, position)
            return None if channel is None else _plan(channel, chat)

        return found


class ChatStop:
    def __init__(self, callers: Callers, history: History, publisher: AsyncPublisher) -> None:
        self._callers = callers
        self._history = history
        self._publisher = publisher

    async def stop(self, request: Request) -> Response:
        """``POST /api/chat/{chatId}/stop`` ``{"activeStreamId"?}``: cancel the answer that is being given in the
        caller's chat, unless another one is meant."""
        caller = await self._callers.caller(request)
        owner = caller.known_subject()
        if caller.source is Source.TICKET:
            raise Forbidden("A ticket only opens streams; use a token.")
        chat = names.check_id(request.path_params["chat_id"], "chat id")
        meant = _meant(await read(request, SMALL_BODY_BYTES))
        job_id = await self._history.active_answer(owner, chat)
        stopped = job_id is not None and meant in (None, job_id) and await self._cancel(job_id)
        return responses.json_response({"stopped": job_id if stopped else None})

    async def _cancel(self, job_id: str) -> bool:
        """Whether it had not ended by itself."""
        try:
            await self._publisher.cancel_job(job_id)
        except (JobFinished, JobNotFound):
            return False
        return True


def _meant(body: bytes) -> str | None:
    """The answer that a body names, if it does. Raises :class:`BadRequest`."""
    said = parse(body) if body.strip() else {}
    named = said.get("activeStreamId") if isinstance(said, dict) else 0
    if named is None or isinstance(named, str):
        return named
    raise BadRequest('The body may be left out, or be {"activeStreamId": the answer to stop}.')


def routes(
    stream: StreamRoutes, endpoint: Endpoints, callers: Callers, history: History, publisher: AsyncPublisher
) -> list[BaseRoute]:
    return [
        stream("/api/chat/{chat_id:id}/stream", ChatStreams(ChatAnswers(callers, history)).plan, ENCODER),
        endpoint("/api/chat/{chat_id:id}/stop", POST=ChatStop(callers, history, publisher).stop),
    ]
