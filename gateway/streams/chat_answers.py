"""Which answer a request for a chat is about: the one that is being given in it, or the one that a cursor is from."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.auth.callers import Callers
from gateway.auth.principal import Principal
from gateway.broker.history import History
from gateway.fanout import cursor
from publisher import channels as names


class ChatAnswers:
    """The answers of all chats; each chat is its owner's, so that who is nobody has none."""

    def __init__(self, callers: Callers, history: History) -> None:
        self._callers = callers
        self._history = history

    async def channel(self, caller: Principal, chat_id: str, position: str) -> str | None:
        """The channel of the answer that there is to be streamed in the caller's chat; None alike where there is none,
        and where it is not for this caller. Raises :class:`~gateway.exceptions.StoreDown`."""
        owner = caller.subject
        job_id = None if owner is None else await self._answer(owner, chat_id, position)
        channel = None if job_id is None else names.job_channel(job_id)
        return channel if channel is not None and self._callers.may_read(caller, channel, owner) else None

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
