"""Why a command cannot talk to Redis, in the words of ``doctor``."""

from __future__ import annotations

from redis.exceptions import ResponseError

from gateway.commands.common import CommandError
from gateway.doctor import reach
from publisher.redis import connect
from publisher.redis.address import parse
from publisher.redis.errors import ERRORS

TRY_S = 5.0


def sentence(error: BaseException, url: str) -> str:
    """What is wrong with this address, and what to do."""
    finding = reach.why(error, parse(url))
    return f"Redis at {finding.text}. {finding.remedy}"


def check_reachable(url: str) -> None:
    """Raises :class:`CommandError` where no Redis answers at the address; one that refuses PING does answer."""
    try:
        client = connect.blocking(url, timeout_s=TRY_S)
        try:
            client.ping()
        finally:
            client.close()
    except ResponseError as error:
        if "NOPERM" not in str(error) and "no permissions" not in str(error):
            raise CommandError(sentence(error, url)) from None
    except ERRORS as error:
        raise CommandError(sentence(error, url)) from None
