"""The one tree of what a request is refused with: each error knows its answer, and its log line keeps to the log."""

from __future__ import annotations

import gc
import json
import weakref

from gateway.auth.errors import AuthUnavailable, token_required
from gateway.closing import Closing
from gateway.exceptions import BodyTooLarge, HTTPError, NotFound, Refused, StoreDown, as_http_error, forget_way
from gateway.http.responses import error_response


def test_every_error_of_the_node_is_answered_as_it_says_itself() -> None:
    listed: list[tuple[HTTPError | ValueError, int, str, str | None]] = [
        (token_required(), 401, "token_required", "www-authenticate"),
        (AuthUnavailable("The key set cannot be fetched."), 503, "unavailable", "retry-after"),
        (StoreDown("Redis did not answer: OSError."), 503, "unavailable", "retry-after"),
        (Refused(Closing.USER_LIMIT), 429, "user_limit", "retry-after"),
        (Refused(Closing.DRAINING), 503, "draining", "retry-after"),
        (BodyTooLarge("The body is larger than 1 MiB."), 413, "too_large", "connection"),
        (ValueError("limit must be a number."), 400, "bad_request", None),
    ]
    for error, status, code, header in listed:
        answer = error_response(as_http_error(error))
        named = {"www-authenticate", "retry-after", "connection"} & set(answer.headers)
        assert (answer.status_code, json.loads(bytes(answer.body))["error"]["code"]) == (status, code)
        assert named == ({header} if header else set()), code


def test_what_redis_did_is_told_to_the_log_alone() -> None:
    error = StoreDown("Redis refused a read: NOPERM user=node")
    assert "NOPERM" in str(error)
    assert b"NOPERM" not in bytes(error_response(error).body)


def test_an_error_that_was_answered_holds_nothing_of_its_request() -> None:
    """Without the collector, which comes late."""

    class Kept:
        pass

    held: list[weakref.ref[Kept]] = []

    def serve() -> None:
        mine = Kept()
        held.append(weakref.ref(mine))
        try:
            raise KeyError
        except KeyError:
            raise NotFound("There is no such job.") from None

    def route() -> str:
        try:
            serve()
        except NotFound as raised:
            error = as_http_error(raised)
            forget_way(error)
        return error.sentence

    gc.disable()
    try:
        assert route() == "There is no such job."
        assert held[0]() is None
    finally:
        gc.enable()
