"""The stream of a chat: the answer that is being given in it, whatever its job id is."""

from __future__ import annotations

from starlette.routing import BaseRoute

from gateway.auth.callers import Callers
from gateway.auth.principal import Principal
from gateway.broker.history import History
from gateway.dialects.native import native_encoder
from gateway.routes.streams import plan_for
from gateway.streams.admission import last_event_id
from gateway.streams.chat_answers import ChatAnswers
from gateway.streams.plan import Lookup, Plan
from gateway.streams.request import StreamRequest
from gateway.streams.route import StreamRoutes
from publisher import channels as names


def routes(stream: StreamRoutes, callers: Callers, history: History) -> list[BaseRoute]:
    answers = ChatAnswers(callers, history)

    def chat(request: StreamRequest, caller: Principal) -> Lookup:
        chat_id = names.check_id(request.path_params["chat_id"], "chat id")
        plan = plan_for(request)

        async def found() -> Plan | None:
            channel = await answers.channel(caller, chat_id, last_event_id(request))
            return None if channel is None else plan(channel)

        return found

    return [stream("/v1/chats/{chat_id:id}/events", chat, native_encoder(False, False))]
