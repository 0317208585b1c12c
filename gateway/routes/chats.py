"""The stream of a chat: the answer that is being given in it, whatever its job id is."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.routing import BaseRoute

from gateway.auth.callers import Callers
from gateway.auth.principal import Principal
from gateway.broker.history import History
from gateway.dialects.native import native_encoder
from gateway.fanout import cursor
from gateway.routes.streams import plan_for
from gateway.streams.plan import Lookup, Plan
from gateway.streams.route import StreamRoutes, last_event_id
from publisher import channels as names


class ChatStream:
    """Finds the answer that a request for a chat is about."""

    def __init__(self, callers: Callers, history: History) -> None:
        self._callers = callers
        self._history = history

    def plan(self, request: Request, caller: Principal) -> Lookup:
        """What there is to be streamed, to be asked for."""
        owner = caller.known_subject()
        chat_id = names.check_id(request.path_params["chat_id"], "chat id")
        plan = plan_for(request)

        async def found() -> Plan | None:
            job_id = await self._answer(owner, chat_id, last_event_id(request))
            if job_id is None or not self._callers.may_read(caller, names.job_channel(job_id), owner):
                return None
            return plan(names.job_channel(job_id))

        return found

    async def _answer(self, owner: str, chat_id: str, position: str) -> str | None:
        """The answer that a cursor is from, if it is one of this chat and still known; else the active one."""
        if position:
            known = answer_at(position, await self._history.answers(owner, chat_id))
            if known is not None:
                facts = await self._history.facts(known)
                return known if facts is not None and facts.owner == owner else None
        return await self._history.active_answer(owner, chat_id)


def answer_at(position: str, answers: Iterable[str]) -> str | None:
    """Which of these answers a cursor is from."""
    tags = cursor.tags_in(position)
    return next((job_id for job_id in answers if cursor.tag(names.job_channel(job_id)) in tags), None)


def routes(stream: StreamRoutes, callers: Callers, history: History) -> list[BaseRoute]:
    chats = ChatStream(callers, history)
    return [stream("/v1/chats/{chat_id:id}/events", chats.plan, native_encoder(False, False))]
