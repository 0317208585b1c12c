"""Scopes, and pages that may use a cookie, asked of real callers where nobody was revoked."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from gateway.auth.authenticator import Authenticator
from gateway.auth.callers import Callers
from gateway.auth.principal import ADMIN, PUBLISH, STATS, Principal, Source
from gateway.auth.same_site import require_same_site
from gateway.auth.ticket_key import FixedTicketKey
from gateway.exceptions import Forbidden, Unauthorized
from gateway.settings.settings import Settings
from tests.support.tokens import SECRET, token

SETTINGS = Settings(jwt_key=SECRET, cors_origins=("https://app.example",), ticket_key="t" * 32)
OWN = "http://node.example"


class NobodyRevoked:
    loaded = True

    def revoked(self, subject: str, issued_at: float | None) -> bool:
        return False


def callers(*, dev: bool = False) -> Callers:
    return Callers(SETTINGS, Authenticator(SETTINGS, FixedTicketKey("t" * 32)), NobodyRevoked(), dev=dev)


def asked(method: str = "GET", *, scheme: str = "http", host: str = "node.example", **headers: str) -> Request:
    """A request as uvicorn hands it on; the scheme is the one that a trusted proxy named."""
    raw = [(b"host", host.encode()), *[(name.encode(), value.encode("latin-1")) for name, value in headers.items()]]
    return Request(
        {"type": "http", "method": method, "scheme": scheme, "path": "/", "query_string": b"", "headers": raw}
    )


def bearer(scope: str | None, host: str = "node.example") -> Request:
    return asked(host=host, authorization=f"Bearer {token('ann', scope=scope)}")


@pytest.mark.parametrize("scope", [PUBLISH, STATS, ADMIN])
async def test_a_token_with_the_scope_or_admin_passes(scope: str) -> None:
    assert (await callers().holder(bearer(scope), scope)).subject == "ann"
    assert (await callers().holder(bearer(f"other {ADMIN}"), scope)).subject == "ann"


@pytest.mark.parametrize("held", [None, "", "stats", "publishing", "PUBLISH"])
async def test_a_token_without_the_scope_is_forbidden_and_told_which(held: str | None) -> None:
    with pytest.raises(Forbidden, match="scope publish"):
        await callers().holder(bearer(held), PUBLISH)


async def test_no_token_is_asked_for_one() -> None:
    with pytest.raises(Unauthorized) as caught:
        await callers().holder(asked(), STATS)
    assert caught.value.challenge == 'Bearer realm="sse-gateway"'


async def test_a_bad_token_is_refused_even_where_anybody_may() -> None:
    with pytest.raises(Unauthorized):
        await callers(dev=True).holder(asked(authorization="Bearer a.b.c"), STATS, allow_dev=True)


async def test_in_development_anybody_may_where_the_call_says_so() -> None:
    assert (await callers(dev=True).holder(asked(host="localhost:8000"), STATS, allow_dev=True)).anonymous
    assert (await callers(dev=True).holder(bearer(None, host="127.0.0.1"), STATS, allow_dev=True)).subject == "ann"
    with pytest.raises(Forbidden, match="localhost"):
        await callers(dev=True).holder(asked(), STATS, allow_dev=True)
    with pytest.raises(Unauthorized):
        await callers(dev=True).holder(asked(), STATS)


async def test_in_production_nobody_is_let_in_for_development() -> None:
    with pytest.raises(Unauthorized):
        await callers().holder(asked(), STATS, allow_dev=True)
    with pytest.raises(Forbidden):
        await callers().holder(bearer(None), STATS, allow_dev=True)


def by(source: Source) -> Principal:
    return Principal("ann", source=source)


@pytest.mark.parametrize("origin", [OWN, "HTTP://NODE.example", "http://node.example:80", "https://app.example"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_own_and_listed_pages_may_use_the_cookie(method: str, origin: str) -> None:
    require_same_site(asked(method, origin=origin), by(Source.COOKIE), SETTINGS)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "https://node.example",
        "http://node.example:81",
        "https://app.example.evil",
        "x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_other_pages_may_not_use_the_cookie(method: str, origin: str) -> None:
    with pytest.raises(Forbidden, match="GATEWAY_CORS_ORIGINS"):
        require_same_site(asked(method, origin=origin), by(Source.COOKIE), SETTINGS)


def test_without_an_origin_a_cookie_reads_but_changes_nothing() -> None:
    """Browsers leave the header out of plain reads of the same origin only."""
    require_same_site(asked("GET"), by(Source.COOKIE), SETTINGS)
    require_same_site(asked("HEAD"), by(Source.COOKIE), SETTINGS)
    with pytest.raises(Forbidden, match="Origin"):
        require_same_site(asked("POST"), by(Source.COOKIE), SETTINGS)


@pytest.mark.parametrize(
    ("site", "allowed"), [("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False)]
)
def test_without_an_origin_the_browser_s_word_on_the_site_counts(site: str, allowed: bool) -> None:
    """An image or a link of another site sends the cookie and no origin."""
    request = asked("GET", **{"sec-fetch-site": site})
    if allowed:
        require_same_site(request, by(Source.COOKIE), SETTINGS)
    else:
        with pytest.raises(Forbidden, match="GATEWAY_CORS_ORIGINS"):
            require_same_site(request, by(Source.COOKIE), SETTINGS)


def test_the_scheme_is_the_one_that_the_proxy_names() -> None:
    behind_tls = asked("POST", scheme="https", origin="https://node.example")
    require_same_site(behind_tls, by(Source.COOKIE), SETTINGS)


def test_two_origins_are_none() -> None:
    request = asked("POST", origin=OWN)
    request.scope["headers"].append((b"origin", b"https://evil.example"))
    with pytest.raises(Forbidden):
        require_same_site(request, by(Source.COOKIE), SETTINGS)


@pytest.mark.parametrize("source", [Source.HEADER, Source.TICKET, Source.QUERY, Source.NONE])
def test_whoever_shows_a_token_may_come_from_any_page(source: Source) -> None:
    require_same_site(asked("POST", origin="https://evil.example"), by(source), SETTINGS)


async def test_a_stream_by_cookie_is_refused_to_foreign_pages() -> None:
    cookie = f"sse_token={token('ann')}"
    assert (await callers().reader(asked(cookie=cookie, origin=OWN))).subject == "ann"
    with pytest.raises(Forbidden):
        await callers().reader(asked(cookie=cookie, origin="https://evil.example"))
