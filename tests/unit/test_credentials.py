"""A request's token is looked for in a fixed order, and one alone counts."""

from __future__ import annotations

import pytest

from gateway.auth.credentials import NO_CREDENTIALS, Credentials
from gateway.auth.errors import AuthError
from gateway.auth.principal import Source
from gateway.settings.settings import Settings

Headers = list[tuple[bytes, bytes]]
PLAIN = Settings()
QUERY = Settings(query_tokens=True)
BEARER = (b"authorization", b"Bearer a.b.header")
COOKIE = (b"cookie", b"other=1; sse_token=a.b.cookie; more=2")


@pytest.mark.parametrize(
    ("headers", "query", "settings", "source", "token"),
    [
        ([BEARER, COOKIE], {"ticket": "a.b.t", "token": "a.b.q"}, QUERY, Source.HEADER, "a.b.header"),
        ([COOKIE], {"ticket": "a.b.t", "token": "a.b.q"}, QUERY, Source.TICKET, "a.b.t"),
        ([COOKIE], {"token": "a.b.q"}, QUERY, Source.COOKIE, "a.b.cookie"),
        ([], {"access_token": "a.b.q"}, QUERY, Source.QUERY, "a.b.q"),
        ([], {"token": "a.b.q"}, QUERY, Source.QUERY, "a.b.q"),
        ([], {"api_key": "a.b.q"}, QUERY, Source.QUERY, "a.b.q"),
        ([], {"token": "a.b.q"}, PLAIN, Source.NONE, ""),
        ([], {"ticket": "a.b.t"}, PLAIN, Source.TICKET, "a.b.t"),
        ([(b"authorization", b"bEaReR   a.b.c ")], {}, PLAIN, Source.HEADER, "a.b.c"),
        ([(b"authorization", b"Basic dTpw")], {"ticket": "a.b.t"}, PLAIN, Source.TICKET, "a.b.t"),
        ([(b"authorization", b"Basic dTpw")], {}, PLAIN, Source.NONE, ""),
        ([(b"cookie", b'sse_token="a.b.c"')], {}, PLAIN, Source.COOKIE, "a.b.c"),
        ([(b"cookie", b"x=1"), (b"cookie", b"sse_token=a.b.c")], {}, PLAIN, Source.COOKIE, "a.b.c"),
        ([(b"cookie", b"my_sse_token=a.b.c; sse_token=")], {"ticket": ""}, PLAIN, Source.NONE, ""),
        ([(b"cookie", b"t=a.b.c")], {}, Settings(token_cookie="t"), Source.COOKIE, "a.b.c"),
    ],
)
def test_exactly_one_credential_is_taken_in_order(
    headers: Headers, query: dict[str, str], settings: Settings, source: Source, token: str
) -> None:
    assert Credentials.from_request(headers, query, settings) == (source, token)


def test_a_request_without_credentials_gives_none() -> None:
    assert Credentials.from_request([], {}, QUERY) is NO_CREDENTIALS


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([(b"authorization", b"Bearer")], {}),
        ([(b"authorization", b"Bearer null")], {}),
        ([(b"authorization", b"Bearer a.b.\xff")], {}),
        ([BEARER, BEARER], {}),
        ([(b"authorization", b"Bearer a.b." + b"c" * 9000)], {}),
        ([(b"cookie", b"sse_token=a.b." + b"c" * 9000)], {}),
        ([], {"ticket": "undefined"}),
        ([], {"ticket": "a.b." + "c" * 9000}),
    ],
)
def test_an_unusable_credential_is_refused_and_nothing_else_is_tried(headers: Headers, query: dict[str, str]) -> None:
    with pytest.raises(AuthError) as caught:
        Credentials.from_request([*headers, COOKIE], query, QUERY)
    assert caught.value.code == "invalid_token"


def test_credentials_do_not_show_in_their_repr() -> None:
    assert "secret" not in repr(Credentials(Source.HEADER, "a.b.secret"))
